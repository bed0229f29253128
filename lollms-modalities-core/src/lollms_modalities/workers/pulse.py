"""A pulse on links to other machines: each side is told that the other is there, where the system cannot tell it.

Behind a program such as ``ssh``, or a proxy that acknowledges and passes nothing on, a connection looks well while
nobody is at its other end. One thread of this program, while there is anything to do for it, sends each second what
says nothing. What does not get it for ``SILENCE`` seconds over there takes it that this program is gone.

Over ssh it is a frame, which the program at the far end sees pass; that ssh itself is cut off, ssh tells. Over TCP it
is a connection of its own, which the process that watches the worker answers: an engine may hold Python's lock for as
long as it likes. There it also says that the other connection has ended, whose own end waits behind what was not taken.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from lollms_modalities.workers.channel import Channel
    from lollms_modalities.workers.tls import TlsLink

INTERVAL: Final = 1.0
_FAREWELL = b"!"  # as link_watcher.py has it
_UNANSWERED = 4  # of those before the last, so that whoever waits is told within five seconds


class Beating(Protocol):
    """What gets a pulse."""

    def beat(self) -> bool:
        """Called each second; waits for nothing. Whether it goes on."""

    def forget(self) -> None:
        """In a forked child: it is the parent's."""


class FramePulse:
    """A frame that says nothing, while a channel is open."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def beat(self) -> bool:
        """Send it."""
        self._channel.pulse()
        return not self._channel.closed

    def forget(self) -> None:
        """Nothing is to be let go of."""


class Heart:
    """A connection beside another: each byte that is sent over it comes back, as long as anything passes.

    Args:
        sock: that connection, whose other end answers.
        link: the other, which is ended when no answer comes.
    """

    def __init__(self, sock: socket.socket, link: TlsLink) -> None:
        sock.setblocking(False)
        self._sock, self._link = sock, link
        self._unanswered = 0

    def beat(self) -> bool:
        """Look for answers first: this program itself may have been held up. Then ask again."""
        if self._link.fileno() < 0 or self._link.shut:
            with contextlib.suppress(OSError):
                self._sock.send(_FAREWELL)
            self._sock.close()
            return False
        try:
            while True:
                answers = self._sock.recv(4096)
                if not answers:
                    break  # what watches it is gone, and so is the worker
                self._unanswered = 0
        except BlockingIOError:
            if self._unanswered < _UNANSWERED:
                with contextlib.suppress(OSError):
                    self._sock.send(b".")
                self._unanswered += 1
                return True
            self._link.lost = f"the connection to it was cut (nothing came through for {_UNANSWERED} s)"
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # that end is gone, of which the other connection tells
        self._sock.close()
        return False

    def forget(self) -> None:
        """Close our copy."""
        os.close(self._sock.detach())


_beating: set[Beating] = set()
_changing = threading.Lock()
_thread: threading.Thread | None = None


def give_pulse(to: Beating) -> None:
    """From now on, until it says that it does not go on."""
    global _thread
    with _changing:
        _beating.add(to)
        if _thread is None:
            _thread = threading.Thread(target=_run, name="lollms-pulse", daemon=True)
            _thread.start()


def _run() -> None:
    global _thread
    pause = threading.Event()
    while True:
        with _changing:
            now = list(_beating)
            if not now:
                _thread = None
                return
        ended = [beating for beating in now if not beating.beat()]
        with _changing:
            _beating.difference_update(ended)
        pause.wait(INTERVAL)


def _after_fork() -> None:
    global _changing, _thread
    _changing, _thread = threading.Lock(), None
    for beating in _beating:
        beating.forget()
    _beating.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
