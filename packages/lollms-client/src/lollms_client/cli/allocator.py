"""Memory that an engine gives back and takes again at once stays with the process."""

from __future__ import annotations

import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_KEPT = 1 << 30  # bytes; what is free beyond goes back to the system


def keep_freed_memory() -> None:
    """Have glibc keep what is freed, where it is glibc.

    A window of Whisper takes and gives back some 300 MB; to fetch them from the system each time is a third of it. For
    processes of our own alone: the whole process is bigger by it, to its end.
    """
    import ctypes

    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
