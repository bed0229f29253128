"""One connection between a host and a worker: frames in both directions, handed to the exchange that they are of.

Reading never waits for writing: the thread that reads only hands out, and what must be sent in answer (that a chunk was
taken) is sent by the thread that takes it. So two sides that both send much cannot block each other.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from lollms_modalities.workers import protocol
from lollms_modalities.workers.exchange import CLOSED, Disconnected, Exchange, Payloads
from lollms_modalities.workers.network import set_up_tcp
from lollms_modalities.workers.protocol import CHUNK, DATA, HEAD, Json
from lollms_modalities.workers.values import untyped

_STALL = struct.pack("@ll", 0, 100_000)  # how long one write may block before the sender looks around
_SHOWN = 150  # bytes of what is no frame that an error shows
_AT_ONCE = 512  # buffers that one write is given; systems take 1024 or more


class Connection(Protocol):
    """What a channel needs of its socket. A plain one has it, and so has a ``tls.TlsLink``.

    ``sendmsg`` raises ``BlockingIOError`` when nothing could be sent for the time of ``SO_SNDTIMEO``; it is given the
    same again then. One thread receives while others send, one at a time.
    """

    @property
    def family(self) -> int:
        """The address family; a wrapped connection, which has been set up, has none of TCP's."""

    def sendmsg(self, buffers: list[Any], /) -> int: ...
    def recv_into(self, buffer: bytearray, /) -> int: ...
    def makefile(self, mode: Any, buffering: int) -> Any: ...
    def setsockopt(self, level: int, option: int, value: Any, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def fileno(self) -> int: ...
    def detach(self) -> int: ...
    def close(self) -> None: ...


class Channel:
    """The connection. ``opened`` is given each exchange that the other side begins."""

    def __init__(self, sock: Connection, opened: Callable[[Exchange], object] | None = None) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALL)
        set_up_tcp(sock)
        self._sock = sock
        self._input = cast(io.BufferedReader, sock.makefile("rb", buffering=1 << 16))
        self._opened = opened
        self._sending = threading.RLock()  # whose owner is known: an interrupt may come as soon as it is had
        self._sender: int | None = None
        self._numbers = itertools.count(1)
        self.exchanges: dict[int, Exchange] = {}
        self.minor = protocol.MINOR  # what both sides know
        self.closed = False
        self.fault = ""  # what the other side said that nobody understands, which has ended the connection
        self._strange = True  # nothing has come that a host or a worker says

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
        size = sum(len(p) for p in payload)
        parts: list[Any] = [protocol.encode(message, size), *payload]
        self._begin(look)
        try:
            self._write(parts, look)
        except OSError as exc:
            self.close()
            raise Disconnected from exc
        except BaseException:
            self.close()  # half a frame may be out
            raise
        finally:
            self._sender = None
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
            except BlockingIOError:
                if look is not None:
                    look()
                continue
            while first < len(parts) and sent >= len(parts[first]):
                sent -= len(parts[first])
                first += 1
            if sent:
                parts[first] = memoryview(parts[first])[sent:]

    def read(self, cancelled: Callable[[Json], object] = lambda message: None) -> None:
        """Read and hand out until the other side is gone; ``cancelled`` is given the wish to stop an exchange."""
        try:
            while True:
                self._read_frame(cancelled)
        except (OSError, EOFError):
            pass  # it is gone
        except Exception as exc:
            if not self.closed:  # else it is our own closed file
                self.fault = f"{type(exc).__name__}: {exc}"
        finally:
            self.close()
            for exchange in list(self.exchanges.values()):
                exchange.put(CLOSED)
                exchange.wake()
            with self._sending:  # nobody writes to a descriptor that may soon be another's
                self._input.close()
                self._sock.close()

    def _read_frame(self, cancelled: Callable[[Json], object]) -> None:
        head = self._exactly(HEAD.size)
        text_size, size = HEAD.unpack(head)
        if self._strange and text_size > protocol.LARGEST_FIRST:
            # What a shell or a service greets with, taken for lengths, is always larger.
            raise ValueError(f"it began with {(head + self._input.peek(1))[:_SHOWN]!r}, which is no frame")
        if text_size > protocol.LARGEST_TEXT or size > CHUNK:
            raise ValueError("a frame is too large")
        message = protocol.decode(self._exactly(text_size))
        self._strange = False
        exchange = self.exchanges.get(message["id"])
        if message["type"] == DATA:
            if exchange is None:
                raise ValueError("a chunk of no exchange")
            exchange.chunk(size, self._read_into)
            return
        if message["type"] == protocol.CANCEL:
            cancelled(message)
            return
        payload = None
        if size:
            payload = bytearray(size)
            self._read_into(memoryview(payload))
        if exchange is None:
            if self._opened is None or message["type"] not in protocol.OPENING:
                return  # late: of an exchange that has ended
            exchange = self.exchanges[message["id"]] = Exchange(self, message["id"])
            exchange.arrived(message, payload)
            self._opened(exchange)
            return
        exchange.arrived(message, payload)

    def _exactly(self, size: int) -> bytes:
        data = self._input.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _read_into(self, room: memoryview) -> None:
        if self._input.readinto(room) < len(room):
            raise EOFError

    def close(self) -> None:
        """End the connection; the thread that reads sees it too. Again does nothing."""
        self.closed = True
        with contextlib.suppress(OSError):  # the other side may have been first
            self._sock.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Close our copy of the connection, and only that: this process was forked from the one that it belongs to."""
        self.closed = True
        os.close(self._sock.detach())
        self._sending, self._sender = threading.RLock(), None  # a thread that is not here may have held it
        for exchange in list(self.exchanges.values()):
            exchange.forget()
