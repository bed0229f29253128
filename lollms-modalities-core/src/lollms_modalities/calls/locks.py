"""The lock of an instance or of a shared model. It belongs to calls, not to threads, so that a stream may hold it while
several threads step it, and waiting for it ends when the call is cancelled or out of time.

All locks have one mutex, so that a call which is about to wait can look at the whole: who waits for whom. Of calls that
would wait for each other for ever, the last one is refused.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lollms_modalities.calls.askers import Asker, asker, tasks_awaiting, would_block
from lollms_modalities.calls.call import Call
from lollms_modalities.errors import BusyError

_all: weakref.WeakSet[CallLock] = weakref.WeakSet()
# An RLock, because a signal handler may cancel a stream, and so release, in the middle of an operation.
_mutex = threading.RLock()
_waiting: list[_Waiter] = []


class _Waiter:
    __slots__ = ("asker", "awaiting", "call", "exclusive", "lock", "wake")

    def __init__(self, lock: CallLock, call: Call, exclusive: bool) -> None:
        self.lock = lock
        self.call = call
        self.exclusive = exclusive
        self.asker: Asker = call.asker or asker()
        self.awaiting = None if call.asker is None else tasks_awaiting(call.asker.task)
        self.wake = threading.Event()

    def keeps(self, holder: Call) -> bool:
        """Whether the holder cannot end while this waits: it waits itself, or a call that it made, or its consumer."""
        above: Call | None = self.call
        while above is not None:
            if above is holder:
                return True
            above = above.parent
        consumer = holder.consumer
        return consumer is not None and would_block(self.asker, self.awaiting, consumer)


class CallLock:
    """Held by at most ``slots`` calls at once, or by one that asked for it exclusively; first come, first served.

    What a call holds or waits for is noted before it is told, so that an interrupt at any place loses nothing:
    ``release`` puts right whatever it finds.
    """

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._holders: list[Call] = []
        self._exclusive = False
        self._waiters: deque[_Waiter] = deque()
        _all.add(self)

    @property
    def holders(self) -> tuple[Call, ...]:
        """The calls that hold it now."""
        return tuple(self._holders)

    def acquire(self, call: Call, *, exclusive: bool = False) -> bool:
        """Wait until the call holds the lock; False if it, or a call that it was made from, holds it already.

        Whoever may be interrupted releases in any case, also when this has raised.

        Raises:
            BusyError: waiting would never end: the asker itself keeps it, through a stream that it has open or a call
                that it is in, or what keeps it waits for the asker.
            CallCancelled, CallTimeout: the call was stopped while it waited.
        """
        with _mutex:
            if self._held_above(call):
                if exclusive:
                    raise _busy(call, "from inside one of its own calls")
                return False
            if not self._waiters and self._fits(exclusive):
                self._give(call, exclusive)
                return True
            waiter = _Waiter(self, call, exclusive)
            self._waiters.append(waiter)
            _waiting.append(waiter)
        try:
            with _mutex:
                if _never_ends(waiter):
                    raise _busy(call, "while a stream that the asker has open, or a call that waits for it, keeps it")
            remove = call.on_cancel(waiter.wake.set)
            try:
                waiter.wake.wait()
            finally:
                remove()
            call.check()
            return True
        except BaseException:  # stopped, refused, or interrupted while it waited
            self.release(call)
            raise

    def held_by(self, call: Call) -> bool:
        """Whether the call, or one that it was made from, holds it."""
        with _mutex:
            return self._held_above(call)

    def try_acquire(self, call: Call, *, exclusive: bool = False) -> bool:
        """Hold the lock if that needs no waiting."""
        with _mutex:
            if self._waiters or not self._fits(exclusive):
                return False
            self._give(call, exclusive)
            return True

    def release(self, call: Call) -> None:
        """Let go, or wait no longer. Nothing happens where the call neither holds it nor waits for it."""
        with _mutex:
            if self._waiters:
                for waiter in [w for w in self._waiters if w.call is call]:
                    self._drop(waiter)
            if call in self._holders:
                self._holders.remove(call)
            if self._waiters:
                self._grant()

    def _give(self, call: Call, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._holders.append(call)

    def _fits(self, exclusive: bool) -> bool:
        if not self._holders:
            return True
        return not exclusive and not self._exclusive and len(self._holders) < self._slots

    def _grant(self) -> None:
        while self._waiters:
            waiter = self._waiters[0]
            if waiter.call not in self._holders:  # where it is, an interrupt came between this and what follows
                if not self._fits(waiter.exclusive):
                    return
                self._give(waiter.call, waiter.exclusive)
            waiter.wake.set()
            self._drop(waiter)

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in _waiting:
            _waiting.remove(waiter)
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def _held_above(self, call: Call) -> bool:
        above: Call | None = call
        while above is not None:
            if above in self._holders:
                return True
            above = above.parent
        return False

    def _forget(self) -> None:
        """In a forked child: the calls that held the lock, or waited, don't run there."""
        self._holders = []
        self._exclusive = False
        self._waiters = deque()


@contextmanager
def held(lock: CallLock, call: Call) -> Iterator[None]:
    """Hold a lock for a call, or for one that it was made from, where that holds it already."""
    mine = call not in lock.holders
    try:
        lock.acquire(call)
        yield
    finally:
        if mine:
            try:
                lock.release(call)
            except BaseException:  # interrupted
                lock.release(call)
                raise


def _never_ends(new: _Waiter) -> bool:
    """Whether a call that is about to wait would do so for ever.

    Take away, again and again, whoever can go on once those that can go on have ended. Whoever is left never can.
    """
    stuck = list(_waiting)
    while True:
        free = next((waiter for waiter in stuck if _can_go_on(waiter, stuck)), None)
        if free is None:
            return new in stuck
        if free is new:
            return False
        stuck.remove(free)


def _can_go_on(waiter: _Waiter, stuck: list[_Waiter]) -> bool:
    lock = waiter.lock
    if next((w for w in lock._waiters if w in stuck), waiter) is not waiter:
        return False  # it is not its turn
    kept = [h for h in lock._holders if any(w.keeps(h) for w in stuck)]
    if not kept:
        return True
    return not waiter.exclusive and not lock._exclusive and len(kept) < lock._slots


def _busy(call: Call, when: str) -> BusyError:
    return BusyError(
        f"{call.verb} was asked for {when}: waiting would never end.",
        hint="Take the stream to its end or close it first (with binding.stream_...(...) as stream:).",
    )


def _after_fork() -> None:
    global _mutex
    _mutex = threading.RLock()
    _waiting.clear()
    for lock in list(_all):
        lock._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
