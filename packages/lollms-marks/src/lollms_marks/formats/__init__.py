"""Where each format keeps what is said of a file: one module for each kind of container.

``read(view)`` gives ``Tags``; ``write(view, mark)`` gives the changes that put a mark there. Samples and pixels, and
what others have written, are not touched. Both raise ``Broken``, and look at a bounded part of a file.
"""

from __future__ import annotations

from lollms_marks.formats.tags import Tags, format_of, read, write

__all__ = ["Tags", "format_of", "read", "write"]
