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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lollms_modalities.calls import waits
from lollms_modalities.calls.askers import Asker, asker, ends_with, would_block
from lollms_modalities.calls.awaited import never_done
from lollms_modalities.calls.call import Call
from lollms_modalities.errors import BusyError

_all: weakref.WeakSet[CallLock] = weakref.WeakSet()
# An RLock, because a signal handler may cancel a stream, and so release, in the middle of an operation.
_mutex = threading.RLock()
_waiting: list[_Waiter] = []


# Seconds after which somebody who waits in an asyncio program looks again: what it awaits may have changed.
_LOOK_AGAIN = 0.5


class _Waiter:
    __slots__ = ("again", "asker", "call", "exclusive", "lock", "refused", "twin", "wake")

    def __init__(self, lock: CallLock, call: Call, exclusive: bool) -> None:
        self.lock = lock
        self.call = call
        self.exclusive = exclusive
        self.twin = call.asker is not None  # whose task waits, and its thread does not
        self.asker: Asker = call.asker or asker()
        # Who awaits a task, or the job of a thread, may begin to do so only afterwards.
        self.again = self.asker.task is not None if self.twin else self.asker.job is not None
        self.refused = False
        self.wake = threading.Event()

    def keeps(self, holder: Call) -> bool:
        """Whether the holder cannot end while this waits: it waits itself, or a call that it made, or its consumer."""
        above: Call | None = self.call
        while above is not None:
            if above is holder:
                return True
            above = above.parent
        consumer = holder.consumer
        return consumer is not None and not self.twin and would_block(self.asker, consumer)


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
            if not self._holders and not self._waiters:
                self._give(call, exclusive)
                return True
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
                self._look()
            remove = call.on_cancel(waiter.wake.set)
            try:
                while not waits.wait(waiter.wake.wait, _LOOK_AGAIN if waiter.again else None):
                    with _mutex:
                        # One for all: what it finds is told to whom it concerns.
                        if next((w for w in self._waiters if w.again), None) is waiter:
                            self._look()
            finally:
                remove()
            call.check()
            if waiter.refused:
                raise _busy(call, "while a stream that the asker has open, or a call that waits for it, keeps it")
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

    def _look(self) -> None:
        """Refuse whoever would wait for ever, if somebody who waits keeps what holds this lock."""
        if self._kept(_waiting):
            _refuse()

    def _kept(self, waiters: Iterable[_Waiter]) -> list[Call]:
        """The holders that cannot end while these wait."""
        waiting = list(waiters)
        kept = [holder for holder in self._holders if any(waiter.keeps(holder) for waiter in waiting)]
        tasks = {h: h.consumer.task for h in self._holders if h not in kept and h.consumer and h.consumer.task}
        if tasks and (ends := [end for waiter in waiting for end in ends_with(waiter.asker, twin=waiter.twin)]):
            never = never_done(ends)
            kept += [holder for holder, task in tasks.items() if task in never]
        return kept

    def _going_on(self, stuck: dict[_Waiter, None]) -> Iterator[_Waiter]:
        """Those of ``stuck`` that wait for this lock and have it once all that can go on has ended."""
        kept = self._kept(stuck)
        for waiter in self._waiters:
            if waiter in stuck:
                if kept and (waiter.exclusive or self._exclusive or len(kept) >= self._slots):
                    return  # and whoever comes after it waits for its turn
                yield waiter

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


def _stuck(waiters: Iterable[_Waiter]) -> list[_Waiter]:
    """Those that would wait for ever.

    Take away, again and again, whoever can go on once those that can go on have ended. Whoever is left never can.
    """
    stuck = dict.fromkeys(waiters)
    while stuck:
        free = [waiter for lock in {waiter.lock: None for waiter in stuck} for waiter in lock._going_on(stuck)]
        if not free:
            break
        for waiter in free:
            del stuck[waiter]
    return list(stuck)


def _refuse() -> None:
    """Refuse, of those that would wait for ever, the last ones without which others, or they themselves, need not."""
    while stuck := _stuck(_waiting):
        latest = reversed(stuck)
        found = next((w for w in latest if len(_stuck(o for o in stuck if o is not w)) < len(stuck) - 1), stuck[-1])
        found.refused = True
        found.lock.release(found.call)
        found.wake.set()


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
