"""A view of bytes as a file: whoever reads it gets them as they are asked for, and nothing is copied before."""

from __future__ import annotations

import io


class View(io.RawIOBase):
    """To be read, from any place on. A subclass has ``readinto``, which moves ``_at`` on.

    Args:
        size: bytes that there are.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which is not before the first byte; gives it."""
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset)
        return self._at
