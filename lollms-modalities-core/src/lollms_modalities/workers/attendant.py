"""The thread that reads connections for which nobody waits: one for all of a process, there while there is one.

It sleeps until something comes over a connection that is armed. Arming is a system call and wakes nobody, and holds for
one piece of news.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable

from lollms_modalities.workers.descriptors import Known
from lollms_modalities.workers.output import above_two

HERE = hasattr(select, "epoll")
"""Whether this system has what it needs."""

_ARMED = select.EPOLLIN | select.EPOLLONESHOT if HERE else 0
_LOOK = 60.0  # seconds after which it looks whether it still has what it sleeps in


class Bell:
    """Wakes the one thread that polls it. Takes no lock.

    A pipe, whose ends can be told from whatever has their numbers when a program has closed all that it has not opened.
    """

    def __init__(self) -> None:
        self._out, self._in = (Known(above_two(number)) for number in os.pipe())
        for end in (self._out, self._in):
            os.set_blocking(end.number, False)
        self._closed = False

    def fileno(self) -> int:
        """What is polled."""
        return self._out.number

    @property
    def ours(self) -> bool:
        """Whether it is still there."""
        return not self._closed and self._out.ours and self._in.ours

    def ring(self) -> None:
        """Wake it. Does nothing once it is closed."""
        if self.ours:
            with contextlib.suppress(OSError):  # it is full, and so has been rung
                os.write(self._in.number, b"!")

    def quieten(self) -> bool:
        """It has woken. Whether it can again."""
        if not self.ours:
            return False
        with contextlib.suppress(BlockingIOError):
            os.read(self._out.number, 1 << 12)
        return True

    def close(self) -> None:
        """It rings no more."""
        self._closed = True
        self._out.close()
        self._in.close()


class Attendant:
    """Made by ``engage``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._bell = Bell()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._reads: dict[int, Callable[[], object]] = {}
        self._called: deque[int] = deque()
        self._ended = False
        threading.Thread(target=self._run, name="lollms-attendant", daemon=True).start()

    @property
    def well(self) -> bool:
        """Whether it can read more: nobody has closed its descriptors under its hands."""
        return self._bell.ours

    def arm(self, descriptor: int) -> bool:
        """Read that connection when the next thing comes over it. Whether it is there."""
        return self._tell(descriptor, _ARMED)

    def disarm(self, descriptor: int) -> bool:
        """Somebody else reads it. Whether it is there: somebody may have closed it under our hands."""
        return self._tell(descriptor, select.EPOLLONESHOT)

    def call(self, descriptor: int) -> None:
        """Read it now, whether something comes or not."""
        self._called.append(descriptor)
        self._bell.ring()

    def add(self, descriptor: int, read: Callable[[], object]) -> bool:
        """Read that connection with ``read``. Whether it can: it may have ended meanwhile, and does not from now on."""
        self._reads[descriptor] = read
        if self._ended:
            return False
        try:
            self._epoll.register(descriptor, select.EPOLLONESHOT)
        except OSError as exc:
            del self._reads[descriptor]
            if exc.errno not in (errno.EBADF, errno.EINVAL):
                raise  # the system has no room for one more, and another attendant would have none either
            os.fstat(descriptor)  # raises where it is the connection that is none
            self._lose()
            return False
        return True

    def remove(self, descriptor: int, read: Callable[[], object]) -> bool:
        """Read it no more. It ends with the last; whether it does."""
        if self._reads.get(descriptor) == read:  # else the number is another's by now
            del self._reads[descriptor]
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(descriptor)
        if not self._reads:
            self._ended = True
            self._bell.ring()
        return self._ended

    def forget(self) -> None:
        """In a forked child: its thread is the parent's, and so is what its descriptors stand for."""
        self._end()

    def _end(self) -> None:
        if self.well:
            self._epoll.close()
            self._bell.close()
        else:
            self._lose()

    def _lose(self) -> None:
        """What it sleeps in was closed by somebody else, and its number may be another's: it is never closed again."""
        _lost.add(self)  # as Python would, of what nobody refers to
        self._bell.close()

    def _tell(self, descriptor: int, events: int) -> bool:
        try:
            self._epoll.modify(descriptor, events)
        except (OSError, ValueError):
            return False  # it, or the connection, is closed
        return True

    def _run(self) -> None:
        bell = self._bell.fileno()
        while not self._ended:
            try:
                news = self._epoll.poll(_LOOK)
            except OSError:
                self._lose()  # ``engage`` makes another
                return
            for descriptor, _ in news:
                if descriptor == bell:
                    self._bell.quieten()
                    while self._called:
                        self._read(self._called.popleft())
                else:
                    self._read(descriptor)
            if not news and not self.well:
                break
        self._end()

    def _read(self, descriptor: int) -> None:
        if (read := self._reads.get(descriptor)) is not None:
            read()


_lock = threading.RLock()  # since a signal's handler may close one connection in the middle of opening another
_attendant: Attendant | None = None
_lost: set[Attendant] = set()


def engage(descriptor: int, read: Callable[[], object]) -> Attendant:
    """Have ``read`` called, in its thread, when that connection is armed. It must neither wait nor raise."""
    global _attendant
    with _lock:
        while True:
            if _attendant is None or not _attendant.well:
                _attendant = Attendant()
            attendant = _attendant
            if attendant.add(descriptor, read):
                return attendant
            # It is lost, or a signal's handler has closed its last connection just now.
            _attendant = None


def dismiss(descriptor: int, read: Callable[[], object], attendant: Attendant) -> None:
    """What ``engage`` was given will be closed. Again does nothing."""
    global _attendant
    with _lock:
        if attendant.remove(descriptor, read) and _attendant is attendant:
            _attendant = None


def _after_fork() -> None:
    global _attendant, _lock
    _lock = threading.RLock()
    if _attendant is not None:
        _attendant.forget()
        _attendant = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
