"""Ctrl-C at a moment that is the same each time: on the next line of the engine's own code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """A progress function that interrupts, once, whoever reported.

    Attributes:
        sent: whether it has.
    """

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, progress: object) -> None:
        frame = _engine(sys._getframe(1))
        if self.sent or frame is None:
            return
        self.sent = True

        def interrupt(here: FrameType, event: str, value: Any) -> None:
            here.f_trace = None
            sys.settrace(None)
            raise KeyboardInterrupt

        # A signal comes between two lines, too; but not always between the same.
        frame.f_trace = interrupt
        sys.settrace(lambda *event: None)


@contextmanager
def interrupting() -> Iterator[Interrupt]:
    """An ``Interrupt``; a debugger or a measurement of coverage is at work again afterwards."""
    before = sys.gettrace()
    try:
        yield Interrupt()
    finally:
        sys.settrace(before)


def _engine(frame: FrameType | None) -> FrameType | None:
    """The nearest code that is neither the core's nor the test's."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in ("_pytest", "pluggy", "threading"):
            return None
        if package != "lollms_modalities":
            return frame
        frame = frame.f_back
    return None
