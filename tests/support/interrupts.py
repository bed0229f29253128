"""Ctrl-C at a line of one's choice, as often as there are lines."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt(KeyboardInterrupt):
    """What a signal's handler raises."""


def interrupted_at(n: int, run: Callable[[], Any], where: Callable[[FrameType], bool]) -> tuple[bool, Any]:
    """Run a function that is interrupted at the n-th line; whether it was, and its result.

    Args:
        where: whether the lines of a frame count.
    """
    left = n
    lines: dict[int, int] = {}

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal left
        if not where(frame):
            return None
        if event == "line":
            before, lines[id(frame)] = lines.get(id(frame), 0), frame.f_lineno
            left -= left > 0
            if left == 0 and not _leaves_with(frame, before):
                left = -1
                raise Interrupt
        return trace

    sys.settrace(trace)
    try:
        return False, run()
    except Interrupt:
        return True, None
    finally:
        sys.settrace(None)


def _leaves_with(frame: FrameType, before: int) -> bool:
    """Whether a block of ``with`` has just ended, before ``__exit__``: no signal comes there, and a lock would be kept."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return before > frame.f_lineno and line.lstrip().startswith(("with ", "async with "))
