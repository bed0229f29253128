"""What Ctrl-C, a polite kill and the end of the terminal do, from the first moment to the last.

Before a command begins and after it has ended nothing has to be cleaned up: the program leaves. While it runs it is
interrupted where it is, so that what it began is taken away; a call is cancelled first (``interrupt``).
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time
from contextlib import contextmanager

from lollms_client.cli import CANCELLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_LATER = 0.01  # seconds after which an interrupt that was lost is sent again

_asked = False
_held = _waiting = False
_thread_of_signals = 0


def numbers() -> list[int]:
    """The signals that end a program. One that was ignored from the start (``nohup``) stays ignored."""
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # not on every system
    return found if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN else [*found, hangup]


def leave_at_once() -> None:
    """From now on one of them ends the program: nothing has begun, or all is done."""
    global _asked
    _asked = False  # of a command before, in a program that runs several
    _handle(_leave)


def interrupt() -> None:
    """From now on one of them interrupts what runs, so that it takes away what it began."""
    _handle(_interrupt)


def asked() -> bool:
    """Whether one came while ``interrupt`` was so. An import that it falls into may raise something else of it."""
    return _asked


def _handle(handler: object) -> None:
    global _thread_of_signals
    _thread_of_signals = _thread.get_ident()
    for number in numbers():
        signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"Cancelled.\n")
    finally:
        os._exit(CANCELLED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _waiting
    if _held and not _waiting:
        _waiting = True
        return
    raise_interrupt()


def raise_interrupt() -> None:
    """Interrupt what runs.

    Raises:
        KeyboardInterrupt: always.
    """
    global _asked
    _asked = True
    sys.unraisablehook = _unraisable
    raise KeyboardInterrupt


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    """What is torn down halfway complains on stderr of nothing; an interrupt that fell into a finaliser is not lost."""
    if issubclass(told.exc_type, KeyboardInterrupt):
        # Not ``threading.Thread``: the finaliser may have come while this very thread held one of its locks.
        _thread.start_new_thread(_again, ())


def _again() -> None:
    time.sleep(_LATER)
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(_thread_of_signals, signal.SIGINT)  # which wakes it from whatever it waits in


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
