"""Marks of generated media: written by every binding's results, read by anyone.

``verify`` reads the marks of a file; ``put`` writes one by hand. The plug-in is ``plugin.Marks``; ``signing`` and
``credentials`` need the extra ``c2pa``. But for these, the plug-in and the commands, which the core and the client
load, nothing here imports anything outside Python's own library.
"""

from __future__ import annotations

from lollms_marks.mark import Mark
from lollms_marks.reading import Finding, Report, verify
from lollms_marks.writing import put

__version__ = "2.0.0"
__all__ = ["Finding", "Mark", "Report", "put", "verify"]
