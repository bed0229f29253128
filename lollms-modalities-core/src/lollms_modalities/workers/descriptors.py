"""Descriptors that a program may close under our hands: one that becomes a daemon closes all that it has not opened."""

from __future__ import annotations

import os


class Known:
    """A descriptor, and which file that was: its number may be another's by now."""

    def __init__(self, descriptor: int) -> None:
        self.number = descriptor
        self._file = _identity(descriptor)

    @property
    def ours(self) -> bool:
        """Whether the number still stands for that file."""
        try:
            return _identity(self.number) == self._file
        except OSError:
            return False

    def close(self) -> None:
        """Close it, unless it is closed."""
        if self.ours:
            os.close(self.number)


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
