"""Waits in which Ctrl-C is heard.

Python runs a signal's handler between two instructions, and wakes a thread for it that waits already. What comes in the
moment before, which is long where another thread holds the interpreter, or to another thread, would be heard when the
wait is over. So none is long: it ends, and begins anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent import futures
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")
ANEW = 0.5  # seconds after which a wait begins anew


def wait(over: Callable[[float], bool], seconds: float | None = None) -> bool:
    """Wait until ``over``, which is given how long it may wait, says so; whether it was within ``seconds``."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        left = ANEW if until is None else until - time.monotonic()
        if over(min(ANEW, max(0.0, left))):
            return True
        if left <= ANEW and until is not None:
            return False


def take(queue: SimpleQueue[_T], seconds: float | None = None) -> _T:
    """What comes next in ``queue``. Raises ``queue.Empty`` where nothing did within ``seconds``."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        left = ANEW if until is None else until - time.monotonic()
        try:
            return queue.get(timeout=min(ANEW, max(0.0, left)))
        except Empty:
            if left <= ANEW and until is not None:
                raise


def join(thread: threading.Thread) -> None:
    """Wait for the end of a thread."""
    while thread.is_alive():
        thread.join(ANEW)


def result(future: futures.Future[Any]) -> Any:
    """What ``future`` has come to. Raises what it has failed with."""
    while True:
        try:
            return future.result(ANEW)
        except futures.TimeoutError:
            if future.done():  # it has failed with one of its own, or came just now
                return future.result()
