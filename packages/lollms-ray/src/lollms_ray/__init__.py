"""Bindings on a Ray cluster: ``create_binding("piper", place="ray")``.

Begin with ``place`` (what a program uses); ``helper`` is its side of the process that holds Ray, ``holder`` that
process, ``placed`` what Ray runs on a node.
"""

from lollms_ray.place import RayPlace

__version__ = "2.0.0"

__all__ = ["RayPlace"]
