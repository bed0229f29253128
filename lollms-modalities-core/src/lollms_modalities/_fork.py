"""What a forked child has of its parent: all objects, and none of the threads that some of them need.

An engine's model waits in its destructor for threads that are not there. So what the parent has loaded is never freed
in a child, and never used there.
"""

from __future__ import annotations

import os
from typing import Any

generation = 0  # how many forks this process is away from the one that was started
_kept: list[Any] = []


def keep(value: object) -> None:
    """Never destroy ``value``, not even when the interpreter ends."""
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
    except (ImportError, AttributeError):  # an interpreter without it
        _kept.append(value)


def _after_fork() -> None:
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
