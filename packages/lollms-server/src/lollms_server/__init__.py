"""``lollms serve``: bindings behind HTTP.

``room`` decides what is served, loaded, queued, counted and allowed, and knows no HTTP; ``web`` is HTTP on a room;
``commands`` is what is typed.
"""

__version__ = "2.0.0"
