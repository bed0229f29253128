"""Functions called at a time. One daemon thread keeps the time; it starts when it is first needed."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable

from lollms_modalities.calls.logs import log_failure

_LONGEST = 1e6  # seconds of one wait
_all: weakref.WeakSet[Scheduler] = weakref.WeakSet()


class Ticket:
    """One function to be called."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> None:
        """Don't call it, if that has not begun."""
        self.fn = None


class Scheduler:
    """Calls functions at a time of ``time.monotonic()``; each in its own thread, so one that blocks delays no other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wake = threading.Condition()
        self._heap: list[tuple[float, int, Ticket]] = []
        self._crowded = 64
        self._count = itertools.count()
        self._thread: threading.Thread | None = None
        _all.add(self)

    def at(self, when: float, fn: Callable[[], object]) -> Ticket:
        """Call ``fn`` at ``when``, or as soon after it as the thread comes to it."""
        ticket = Ticket(fn)
        with self._wake:
            if len(self._heap) >= self._crowded:
                self._drop_cancelled()
            heapq.heappush(self._heap, (when, next(self._count), ticket))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread  # not before, since there may be no more threads to be had
            elif self._heap[0][2] is ticket:
                self._wake.notify()
        return ticket

    def _drop_cancelled(self) -> None:
        # Most deadlines never come: their tickets would pile up until their time.
        self._heap = [entry for entry in self._heap if entry[2].fn is not None]
        heapq.heapify(self._heap)
        self._crowded = max(64, 2 * len(self._heap))

    def _forget(self) -> None:
        """In a forked child: it has neither the thread nor what the lock protects."""
        self._wake = threading.Condition()
        self._heap = []
        self._thread = None

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._heap and self._heap[0][2].fn is None:
                    heapq.heappop(self._heap)
                wait = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait is None or wait > 0:
                    # No lock waits for as long as a number may be large, and this thread must not end.
                    self._wake.wait(None if wait is None else min(wait, _LONGEST))
                    continue
                fn = heapq.heappop(self._heap)[2].fn
            if fn is not None:
                # Not here: what a call's stop wakes or closes is others' code, and the other deadlines must come.
                try:
                    threading.Thread(target=self._call, args=(fn,), name=f"{self._name}-due", daemon=True).start()
                except RuntimeError:  # no thread can be had: late is better than never
                    self._call(fn)
            del fn  # which may hold what is to end

    def _call(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException:  # SystemExit too: there is nobody else to tell
            log_failure(__name__, "%s: a scheduled function failed", self._name)


def _after_fork() -> None:
    for scheduler in list(_all):
        scheduler._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
