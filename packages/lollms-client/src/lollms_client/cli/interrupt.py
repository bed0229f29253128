"""Ctrl-C and a polite kill: the call under way is cancelled, and an engine that does not notice is interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from lollms_modalities.calls.cancelling import CancelToken

from lollms_client.cli import signals

PATIENCE = 3.0  # seconds that a call may take to notice that it is cancelled


class Interruptible:
    """``with Interruptible() as token``: the first signal cancels ``token``; a second, or time, interrupts the thread.

    An interrupt lands wherever the engine is, between two lines of its clean-up too: cancelling comes first.
    """

    def __init__(self) -> None:
        self._token = CancelToken()
        self._done = threading.Event()
        self._old: dict[int, Any] = {}

    def __enter__(self) -> CancelToken:
        for number in signals.numbers():
            self._old[number] = signal.signal(number, self._asked)
        return self._token

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        for number, old in self._old.items():
            signal.signal(number, old)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self._token.cancelled:
            signals.raise_interrupt()
        # In a thread of its own: this one may hold the very lock that cancelling takes.
        threading.Thread(target=self._cancel, name="lollms-cancel", daemon=True).start()

    def _cancel(self) -> None:
        self._token.cancel("interrupted")
        if not self._done.wait(PATIENCE) and sys.platform != "win32":
            # To the main thread, which wakes from whatever it waits in.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
