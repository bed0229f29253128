"""What Ctrl-C, a polite kill and the end of the terminal do, from the first moment to the last.

Before a command begins and after it has ended nothing has to be cleaned up: the program leaves. While it runs it is
interrupted where it is, so that what it began is taken away; a call is cancelled first (``interrupt``).
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from lollms_client.cli import CANCELLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_asked = False
_held = _waiting = False


def numbers() -> list[int]:
    """The signals that end a program. One that was ignored from the start (``nohup``) stays ignored."""
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on every system
    return found if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN else [*found, hangup]


def leave_at_once() -> None:
    """From now on one of them ends the program: nothing has begun, or all is done."""
    _handle(_leave)


def interrupt() -> None:
    """From now on one of them interrupts what runs, so that it takes away what it began."""
    _handle(_interrupt)


def asked() -> bool:
    """Whether one came while ``interrupt`` was so. An import that it falls into may raise something else of it."""
    return _asked


def _handle(handler: object) -> None:
    for number in numbers():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"Cancelled.\n")
    finally:
        os._exit(CANCELLED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _asked, _waiting
    if _held and not _waiting:
        _waiting = True
        return
    _asked = True
    raise KeyboardInterrupt


@contextmanager
def held() -> Iterator[None]:
    """What is written inside is written whole: an interrupt waits until the end of it, a second one does not."""
    global _held, _waiting
    _held = True
    try:
        yield
    finally:
        _held = False
        if _waiting:
            _waiting = False
            signal.raise_signal(signal.SIGINT)
