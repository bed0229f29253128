"""Who reads a connection: a thread that waits for something from it, if nobody else reads; while none waits, the
attendant.

A thread that waits reads for itself and for whoever else waits. That saves two threads the handing over, which costs
more than all else between two processes. And at every time somebody hears that the other side is gone, or takes what
makes room for it to go on.
"""

from __future__ import annotations

import math
import select
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from lollms_modalities.calls import waits
from lollms_modalities.workers.attendant import Attendant, Bell, dismiss, engage

_T = TypeVar("_T")
_TURNS = 16  # times that the attendant takes something before it looks after others


class InTheMiddle(Exception):
    """A signal's handler waits for what the code that it interrupts is just reading: it would wait for ever."""


class _Turn:
    """Somebody who reads.

    Attributes:
        thread: the one that reads while it waits for something; 0 for the attendant.
        waits: whether it waits just now, with nothing half done.
        leaves: whether it does not read any more, and has not handed over yet.
    """

    thread = 0
    waits = False
    leaves = False


class Inbox(_Turn, Generic[_T]):
    """What has come for one thread, which reads the connection while it waits, if nobody else does."""

    def __init__(self, reading: Reading | ReadingThread) -> None:
        self._items: SimpleQueue[_T] = SimpleQueue()
        self._reading = reading
        self.empty = self._items.empty
        self.deliver = self._items.put  # from whoever reads

    def put(self, item: _T) -> None:
        """From anybody else. Takes no lock."""
        self._items.put(item)
        self._reading.rouse(self)

    def get(self, timeout: float | None = None) -> _T:
        """Wait for the next item.

        Raises:
            queue.Empty: none came for ``timeout`` seconds.
            InTheMiddle: none can come.
        """
        if not self.empty():
            return self._items.get()
        if timeout is None:
            self._reading.lead(self)
            return waits.take(self._items)
        until = time.monotonic() + timeout
        self._reading.lead(self, until)
        return waits.take(self._items, until - time.monotonic())


class Reading:
    """Whose turn it is to read one connection.

    Args:
        descriptor: of the connection.
        take: takes in what is there and hands it out; whether anything was there. What it raises goes to whoever waits.
        resume: the same, where something may have come that was not handed out.
        take_aside: as ``resume`` in the attendant's thread, and must not raise.
        unfinished: whether there may be such a thing.
        gone: called when somebody has closed it under our hands.
    """

    def __init__(
        self, descriptor: int, take: Callable[[], bool], resume: Callable[[], bool], take_aside: Callable[[], bool],
        unfinished: Callable[[], bool], gone: Callable[[], object],
    ) -> None:  # fmt: skip
        self._descriptor = descriptor
        self._take = take
        self._resume = resume
        self._take_aside = take_aside
        self._unfinished = unfinished
        self._gone = gone
        # Who reads: one operation of a dict says who was first, and what an interrupt leaves can be told.
        self._reader: dict[None, _Turn] = {}
        self._awaited: object = None  # what a thread that reads waits for
        self._attends = _Turn()
        self._bell = Bell()
        self._poll = self._new_poll()
        self._attendant: Attendant | None = None
        self._ended = False

    def begin(self) -> None:
        """It is read from now on."""
        self._attendant = engage(self._descriptor, self._attend)
        self._attendant.arm(self._descriptor)

    def end(self) -> None:
        """Nothing more will come. From whoever reads, when each inbox has been told; again does nothing."""
        self._ended = True
        if self._attendant is not None:
            dismiss(self._descriptor, self._attend, self._attendant)
        self._bell.close()

    def forget(self) -> None:
        """In a forked child: the connection is the parent's, and so is the thread that may have read it."""
        self._reader, self._awaited, self._attendant, self._ended = {}, None, None, True
        self._bell.close()

    def rouse(self, inbox: object) -> None:
        """Somebody has put something there."""
        if self._awaited is inbox:
            self._bell.ring()

    def lead(self, inbox: Inbox[Any], until: float | None = None) -> None:
        """Read until something is in ``inbox``, or that time has come; or not at all, where another thread does.

        Raises:
            InTheMiddle: see there. Else whatever a signal's handler raises.
        """
        inbox.thread = threading.get_ident()
        if (reader := self._reader.get(None)) is not None and reader.thread == inbox.thread:
            self._lead_within(reader, inbox, until)
            return
        try:
            if self._reader.setdefault(None, inbox) is inbox and self._attendant is not None:
                self._disarm()
                self._read(inbox, inbox, self._poll, until)
        finally:
            try:
                self._leave(inbox)
            except BaseException:  # Ctrl-C
                self._leave(inbox)
                raise

    def _lead_within(self, reader: _Turn, inbox: Inbox[Any], until: float | None) -> None:
        """A signal's handler reads, while the code below it does and cannot go on."""
        if not reader.waits:
            raise InTheMiddle
        outer = self._awaited
        try:
            self._read(reader, inbox, self._new_poll(), until)
        finally:
            reader.waits, self._awaited = True, outer
            self._bell.ring()  # there may be something for it

    def _read(self, reader: _Turn, inbox: Inbox[Any], poll: select.poll, until: float | None) -> None:
        self._awaited = inbox
        while inbox.empty() and not self._ended:
            if self._unfinished() and self._resume():
                continue
            left = waits.ANEW if until is None else min(waits.ANEW, max(0.0, until - time.monotonic()))
            reader.waits = True
            ready = poll.poll(math.ceil(left * 1000))
            reader.waits = False
            if not ready:
                if until is not None and time.monotonic() >= until:
                    return
                self._disarm()
            for descriptor, _ in ready:
                if descriptor == self._descriptor:
                    self._take()
                elif not self._bell.quieten():
                    self._gone()

    def _disarm(self) -> None:
        """The attendant does not read it, which says whether it is still there: its number may be another's by now."""
        if self._attendant is not None and not self._attendant.disarm(self._descriptor) and not self._ended:
            self._gone()

    def _attend(self) -> None:
        """In the attendant's thread."""
        if self._reader.setdefault(None, self._attends) is not self._attends:
            return
        turns = _TURNS
        while turns and not self._ended and self._take_aside():
            turns -= 1
        self._leave(self._attends, more=not turns)

    def _leave(self, turn: _Turn, *, more: bool = False) -> None:
        if self._reader.get(None) is turn:
            self._awaited, turn.waits, turn.leaves = None, False, True
            del self._reader[None]
        if turn.leaves:
            self._hand_over(more or (turn is not self._attends and self._unfinished()))
            turn.leaves = False

    def _hand_over(self, more: bool) -> None:
        """``more`` is there, which no news of the system's will tell of."""
        if self._attendant is None or self._ended:
            return
        self._attendant.arm(self._descriptor)
        if more:
            self._attendant.call(self._descriptor)

    def _new_poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        return poll


class ReadingThread:
    """The same where a thread has to read all the time, and wait while it does.

    Args:
        take: as that of ``Reading``, but waits until something is there; False at the end.
    """

    def __init__(self, take: Callable[[], bool]) -> None:
        self._take = take

    def begin(self) -> None:
        """It is read from now on."""
        threading.Thread(target=self._read, name="lollms-channel", daemon=True).start()

    def end(self) -> None:
        """Nothing more will come."""

    def forget(self) -> None:
        """In a forked child: the thread is not there."""

    def rouse(self, inbox: object) -> None:
        """Whoever waits, waits for the inbox alone."""

    def lead(self, inbox: object, until: float | None = None) -> None:
        """Another thread does."""

    def _read(self) -> None:
        while self._take():
            pass
