"""The lock of an instance or of a shared model. It belongs to calls, not to threads, so that a stream may hold it while
several threads step it, and waiting for it ends when the call is cancelled or out of time."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

from lollms_modalities.call import Asker, Call, asker
from lollms_modalities.errors import BusyError

_all: weakref.WeakSet[CallLock] = weakref.WeakSet()


class _Waiter:
    __slots__ = ("call", "exclusive", "granted", "wake")

    def __init__(self, call: Call, exclusive: bool) -> None:
        self.call = call
        self.exclusive = exclusive
        self.granted = False
        self.wake = threading.Event()


class CallLock:
    """Held by at most ``slots`` calls at once, or by one that asked for it exclusively; first come, first served."""

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        # An RLock, because the garbage collector may close an abandoned stream, and so release, in the middle of
        # another operation of the same thread.
        self._mutex = threading.RLock()
        self._holders: list[Call] = []
        self._exclusive = False
        self._waiters: deque[_Waiter] = deque()
        _all.add(self)

    @property
    def holders(self) -> tuple[Call, ...]:
        """The calls that hold it now."""
        return tuple(self._holders)

    def acquire(self, call: Call, *, exclusive: bool = False) -> bool:
        """Wait until the call holds the lock; False if a call that it was made from holds it already.

        Raises:
            BusyError: the asker itself keeps it, through a stream that it has open or a call that it is in.
            CallCancelled, CallTimeout: the call was stopped while it waited.
        """
        with self._mutex:
            if call.parent is not None and self._held_above(call):
                if exclusive:
                    raise self._busy(call, "from inside one of its own calls")
                return False
            if not self._waiters and self._fits(exclusive):
                self._holders.append(call)
                self._exclusive = exclusive
                return True
            self._refuse_to_wait_for_oneself(call)
            waiter = _Waiter(call, exclusive)
            self._waiters.append(waiter)
        remove = call.on_cancel(waiter.wake.set)
        try:
            waiter.wake.wait()
            remove()
            call.check()
            return True
        except BaseException:  # stopped, or interrupted while it waited
            remove()
            with self._mutex:
                if waiter.granted:
                    self.release(call)
                else:
                    self._waiters.remove(waiter)
                    self._grant()
            raise

    def try_acquire(self, call: Call, *, exclusive: bool = False) -> bool:
        """Hold the lock if that needs no waiting."""
        with self._mutex:
            if self._waiters or not self._fits(exclusive):
                return False
            self._holders.append(call)
            self._exclusive = exclusive
            return True

    def release(self, call: Call) -> None:
        """Let go."""
        with self._mutex:
            self._holders.remove(call)
            self._exclusive = False
            if self._waiters:
                self._grant()

    def _fits(self, exclusive: bool) -> bool:
        return not self._holders if exclusive else not self._exclusive and len(self._holders) < self._slots

    def _grant(self) -> None:
        while self._waiters and self._fits(self._waiters[0].exclusive):
            waiter = self._waiters.popleft()
            self._holders.append(waiter.call)
            self._exclusive = waiter.exclusive
            waiter.granted = True
            waiter.wake.set()

    def _held_above(self, call: Call) -> bool:
        above = call.parent
        while above is not None:
            if above in self._holders:
                return True
            above = above.parent
        return False

    def _refuse_to_wait_for_oneself(self, call: Call) -> None:
        me = call.asker or asker()
        if self._holders and all(_waits_for(me, call, holder) for holder in self._holders):
            raise self._busy(call, "while the asker has a stream of it open")

    def _busy(self, call: Call, when: str) -> BusyError:
        return BusyError(
            f"{call.verb} was asked for {when}: waiting would never end.",
            hint="Take the stream to its end or close it first (with binding.stream_...(...) as stream:).",
        )

    def _forget(self) -> None:
        """In a forked child: the calls that held the lock, or waited, don't run there."""
        self._mutex = threading.RLock()
        self._holders = []
        self._exclusive = False
        self._waiters = deque()


def _waits_for(me: Asker, call: Call, holder: Call) -> bool:
    consumer = holder.consumer
    if consumer is None or consumer.thread != me.thread:
        return False
    # A plain call blocks its whole thread, and so every task of it; an awaited one blocks its task only.
    return call.asker is None or consumer.task is me.task


def _after_fork() -> None:
    for lock in list(_all):
        lock._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
