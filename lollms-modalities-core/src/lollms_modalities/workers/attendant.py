"""The thread that reads connections for which nobody waits: one for all of a process, there while there is one.

It sleeps until something comes over a connection that is armed. Arming is a system call and wakes nobody, and holds for
one piece of news.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable

HAD = hasattr(select, "epoll") and hasattr(os, "eventfd")
"""Whether this system has what it needs."""

HERE = HAD and os.environ.get("LOLLMS_WAITERS_READ") == "1"
"""Whether whoever waits reads. Else each connection has a thread that reads: a stop of a call that waits, which
in one of some twenty runs of the tests was not heard for a minute, has to be understood first."""


class Bell:
    """Wakes the one thread that polls it. Takes no lock."""

    def __init__(self) -> None:
        # A file and no number: what has been closed cannot be mistaken for somebody else's.
        self._file = os.fdopen(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), "r+b", buffering=0)
        self.fileno = self._file.fileno
        self.close = self._file.close

    def ring(self) -> None:
        """Wake it. Does nothing once it is closed."""
        with contextlib.suppress(ValueError):
            self._file.write(_ONE)

    def quieten(self) -> None:
        """It has woken."""
        with contextlib.suppress(ValueError):
            self._file.read(8)


_ONE = (1).to_bytes(8, "little")


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

    def arm(self, descriptor: int) -> None:
        """Read that connection when the next thing comes over it."""
        self._tell(descriptor, select.EPOLLIN | select.EPOLLONESHOT)

    def disarm(self, descriptor: int) -> None:
        """Somebody else reads it."""
        self._tell(descriptor, select.EPOLLONESHOT)

    def call(self, descriptor: int) -> None:
        """Read it now, whether something comes or not."""
        self._called.append(descriptor)
        self._bell.ring()

    def add(self, descriptor: int, read: Callable[[], object]) -> bool:
        """Read that connection with ``read``. Whether it can: it may have ended meanwhile, and does not from now on."""
        self._reads[descriptor] = read
        if self._ended:
            return False
        self._epoll.register(descriptor, select.EPOLLONESHOT)
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
        self._epoll.close()
        self._bell.close()

    def _tell(self, descriptor: int, events: int) -> None:
        try:  # noqa: SIM105 - for each call, and cheaper so
            self._epoll.modify(descriptor, events)
        except (OSError, ValueError):
            pass  # it, or the connection, is closed

    def _run(self) -> None:
        bell = self._bell.fileno()
        while not self._ended:
            for descriptor, _ in self._epoll.poll():
                if descriptor == bell:
                    self._bell.quieten()
                    while self._called:
                        self._read(self._called.popleft())
                else:
                    self._read(descriptor)
        self._epoll.close()
        self._bell.close()

    def _read(self, descriptor: int) -> None:
        if (read := self._reads.get(descriptor)) is not None:
            read()


_lock = threading.RLock()  # since a signal's handler may close one connection in the middle of opening another
_attendant: Attendant | None = None


def engage(descriptor: int, read: Callable[[], object]) -> Attendant:
    """Have ``read`` called, in its thread, when that connection is armed. It must neither wait nor raise."""
    global _attendant
    with _lock:
        while True:
            attendant = _attendant = _attendant or Attendant()
            if attendant.add(descriptor, read):
                return attendant
            _attendant = None  # a signal's handler has closed its last connection just now


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
