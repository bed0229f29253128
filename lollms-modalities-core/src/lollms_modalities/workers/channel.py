"""One connection between a host and a worker: frames in both directions, handed to the exchange that they are of.

Reading never waits for writing: whoever reads (``reading`` says who) only hands out, and what must be sent in answer
(that a chunk was taken) is sent by the thread that takes it. So two sides that both send much cannot block each other.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.workers import attendant, protocol
from lollms_modalities.workers.descriptors import Known
from lollms_modalities.workers.exchange import CLOSED, Disconnected, Exchange, Incoming, Payloads
from lollms_modalities.workers.frames import BadFrame, Frame, Frames, Receiver, SocketReceiver, WaitingReceiver
from lollms_modalities.workers.network import set_up_tcp
from lollms_modalities.workers.protocol import Json
from lollms_modalities.workers.reading import Reading, ReadingThread
from lollms_modalities.workers.values import untyped

_STALL = struct.pack("@ll", 0, 100_000)  # how long one write may block before the sender looks around
_PULSE = protocol.encode({"type": protocol.PULSE, "id": 0}, 0)
_AT_ONCE = 512  # buffers that one write is given; systems take 1024 or more


class Connection(Protocol):
    """What a channel needs of its socket. A plain one has it, and so has a ``tls.TlsLink``.

    ``sendmsg`` raises ``BlockingIOError`` when nothing could be sent for the time of ``SO_SNDTIMEO``; it is given the
    same again then. One thread receives while others send, one at a time. One that is a ``frames.Receiver`` too is read
    by whoever waits for something; of any other a thread reads all the time.
    """

    @property
    def family(self) -> int:
        """The address family; a wrapped connection, which has been set up, has none of TCP's."""

    def sendmsg(self, buffers: list[Any], /) -> int: ...
    def recv_into(self, buffer: bytearray, /) -> int: ...
    def setsockopt(self, level: int, option: int, value: Any, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def fileno(self) -> int: ...
    def detach(self) -> int: ...
    def close(self) -> None: ...


class Channel:
    """The connection.

    Args:
        sock: it.
        opened: is given each exchange that the other side begins.
        cancelled: is given the wish to stop an exchange.
        lost: called when the other side is gone, and all is told.
    """

    def __init__(
        self,
        sock: Connection,
        opened: Callable[[Exchange], object] | None = None,
        cancelled: Callable[[Json], object] = lambda message: None,
        lost: Callable[[], object] = lambda: None,
    ) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALL)
        set_up_tcp(sock)
        self._sock = sock
        self._known = Known(sock.fileno())
        self._opened = opened
        self._cancelled = cancelled
        self._lost = lost
        self.reading, self._frames = self._reads(sock)
        self._sending = threading.RLock()  # whose owner is known: an interrupt may come as soon as it is had
        self._sender: int | None = None
        self._numbers = itertools.count(1)
        self.exchanges: dict[int, Exchange] = {}
        self.minor = protocol.MINOR  # what both sides know
        self.closed = False
        self._let_go = False  # whether the socket is closed by us
        self.stolen = False  # whether it was closed under our hands
        self._left = False  # whether the other side was gone when something was sent; what it had said is still read
        self.fault = ""  # what the other side said that nobody understands, which has ended the connection
        self.ended = threading.Event()  # nothing more comes, and the socket is closed

    def _reads(self, sock: Connection) -> tuple[Reading | ReadingThread, Frames]:
        receiver: Receiver | None = None
        if attendant.HERE:
            receiver = (
                SocketReceiver(sock) if type(sock) is socket.socket else sock if isinstance(sock, Receiver) else None
            )
        if receiver is None:
            return ReadingThread(self._take_aside), Frames(WaitingReceiver(sock.recv_into), self._incoming)
        frames = Frames(receiver, self._incoming)
        return Reading(sock.fileno(), self._take, self._resume, self._take_aside, frames.unfinished, self._end), frames

    def _incoming(self, message: Json) -> Incoming | None:
        exchange = self.exchanges.get(message["id"])
        return None if exchange is None else exchange.incoming

    def exchange(self) -> Exchange:
        """Begin an exchange."""
        exchange = Exchange(self, next(self._numbers))
        self.exchanges[exchange.number] = exchange
        if self.closed:
            exchange.put(CLOSED)
            exchange.wake()
        return exchange

    def send(self, message: Json, payload: Payloads = (), look: Callable[[], object] | None = None) -> None:
        """Send one frame; see ``Exchange.send``."""
        if self.minor < protocol.TYPED:
            message = untyped(message)
        size = sum(map(len, payload)) if payload else 0
        parts: list[Any] = [protocol.encode(message, size), *payload]
        self._begin(look)
        try:
            if self.closed:
                raise Disconnected
            self._write(parts, look)
        except BaseException as exc:
            gone = isinstance(exc, OSError) and not raised_by_handler(exc)
            self._left = self._left or gone
            self.close()  # half a frame may be out
            if gone:
                raise Disconnected from exc
            raise
        finally:
            self._sender = None
            self._sending.release()

    def pulse(self) -> None:
        """Send a frame that says nothing, for whatever carries the connection to see. Waits for nothing."""
        if not self._sending.acquire(blocking=False):
            return  # somebody sends, which says as much
        try:
            if not self.closed and self._sock.fileno() >= 0:
                writable = select.poll()
                writable.register(self._sock.fileno(), select.POLLOUT)
                if writable.poll(0):
                    self._sock.sendmsg([_PULSE])
        except OSError:
            pass  # whoever reads sees it, too
        finally:
            self._sending.release()

    def _begin(self, look: Callable[[], object] | None) -> None:
        """Wait for one's turn to send a frame."""
        me = threading.get_ident()
        while self._sender == me:  # a signal's handler, in the middle of a frame of the thread that it interrupts
            if look is None:
                raise Disconnected
            look()
            time.sleep(0.1)
        try:
            while not self._sending.acquire(timeout=-1 if look is None else 0.1):
                assert look is not None
                look()
            self._sender = me
        except BaseException:
            with contextlib.suppress(RuntimeError):  # it was not had: release() of an RLock knows
                self._sending.release()
            raise

    def _write(self, parts: list[Any], look: Callable[[], object] | None) -> None:
        first = 0
        while first < len(parts):
            try:
                sent = self._sock.sendmsg(parts[first : first + _AT_ONCE])
            except BlockingIOError as exc:
                if raised_by_handler(exc):
                    raise
                if look is not None:
                    look()
                continue
            while first < len(parts) and sent >= len(parts[first]):
                sent -= len(parts[first])
                first += 1
            if sent:
                parts[first] = memoryview(parts[first])[sent:]

    def begin(self) -> None:
        """Read from now on."""
        self.reading.begin()

    def _resume(self) -> bool:
        """Hand out what had come, then take in what is there; whether anything was there."""
        return self._take(resume=True)

    def _take(self, *, resume: bool = False) -> bool:
        """Take in what is there, and hand it out; whether anything was there."""
        try:
            if resume:
                self._hand_out()
            self._frames.receive()
            self._hand_out()
        except BadFrame as exc:
            self._found(str(exc))
        except (OSError, EOFError) as exc:
            if raised_by_handler(exc):
                raise
            if isinstance(exc, BlockingIOError):
                return False
            self._end()
        return not self.ended.is_set()

    def _take_aside(self) -> bool:
        """The same in a thread of ours, to which nobody else's exceptions come."""
        try:
            return self._take(resume=True)
        except BaseException as exc:
            self._found(f"{type(exc).__name__}: {exc}")
            return False

    def _hand_out(self) -> None:
        frames = self._frames
        while (frame := frames.next()) is not None:
            if frame.incoming is not None:
                frame.incoming.arrived(frame)
            else:
                self._hand(frame)
            if frames.taken(frame):
                return

    def _hand(self, frame: Frame) -> None:
        message = frame.message
        if message["type"] == protocol.CANCEL:
            self._cancelled(message)
            return
        exchange = self.exchanges.get(message["id"])
        if exchange is not None:
            exchange.arrived(frame)
        elif self._opened is not None and message["type"] in protocol.OPENING:
            exchange = self.exchanges[message["id"]] = Exchange(self, message["id"])
            exchange.arrived(frame)
            self._opened(exchange)
        # Else it is late: of an exchange that has ended.

    def _found(self, fault: str) -> None:
        if not self.closed or self._left:  # else it is our own closed socket
            self.fault = fault
        self._end()

    def _end(self) -> None:
        """The other side is gone. Interrupted, it can be done again."""
        self.stolen = (not self._shut() and not self._let_go) or self.stolen
        for exchange in list(self.exchanges.values()):
            exchange.put(CLOSED)
            exchange.wake()
        self.reading.end()
        # Nobody writes to a descriptor that may soon be another's. Whoever is at it hears that it is shut. He is not
        # waited for here: others' connections are read by the same thread.
        if self._sending.acquire(blocking=False):
            try:
                self._let_go_of_it()
            finally:
                self._sending.release()
        else:
            threading.Thread(target=self._let_go_later, name="lollms-stop", daemon=True).start()

    def _let_go_later(self) -> None:
        with self._sending:
            self._let_go_of_it()

    def _let_go_of_it(self) -> None:
        if not self._known.ours:
            self._sock.detach()  # it is another's already
        self._let_go = True
        self._sock.close()
        self.ended.set()
        self._lost()

    def close(self) -> None:
        """End the connection; whoever reads sees it too. Again does nothing."""
        if not self._shut() and not self._let_go:
            self._end()  # nobody can read of it

    def _shut(self) -> bool:
        self.closed = True
        if not self._known.ours:
            return False
        with contextlib.suppress(OSError):  # the other side may have been first
            self._sock.shutdown(socket.SHUT_RDWR)
        return True

    def forget(self) -> None:
        """Close our copy of the connection, and only that: this process was forked from the one that it belongs to."""
        self.closed = self._let_go = True
        self.reading.forget()
        os.close(self._sock.detach())
        self._sending, self._sender = threading.RLock(), None  # a thread that is not here may have held it
        for exchange in list(self.exchanges.values()):
            exchange.forget()
