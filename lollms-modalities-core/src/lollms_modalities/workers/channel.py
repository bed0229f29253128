"""One connection between a host and a worker: frames in both directions, and an exchange for each request.

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
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, cast

from lollms_modalities.workers import protocol
from lollms_modalities.workers.network import set_up_tcp
from lollms_modalities.workers.protocol import ACK, CHUNK, DATA, HEAD, ITEMS, TAKEN, WINDOW, Buffer, Json

CLOSED: Json = {"type": "closed"}
_STALL = struct.pack("@ll", 0, 100_000)  # how long one write may block before the sender looks around
_AT_ONCE = 512  # buffers that one write is given; systems take 1024 or more
Payloads = Sequence[Buffer]


class Disconnected(Exception):
    """The other side is gone."""


class Exchange:
    """The messages of one request. Each is taken by the one thread that waits for it."""

    def __init__(self, channel: Channel, number: int) -> None:
        self.number = number
        self.cancelled = False
        self._channel = channel
        self._arrived: SimpleQueue[tuple[Json, Payloads] | None] = SimpleQueue()
        # Made when something large, or a stream, is sent: most exchanges have neither.
        self._acknowledged: threading.Semaphore | None = None
        self._room: threading.Semaphore | None = None
        self._taken = 0
        self._incoming: _Incoming | None = None

    def get(self, timeout: float | None = None) -> tuple[Json, Payloads]:
        """The next message and its payloads. Raises ``queue.Empty`` after ``timeout`` seconds."""
        while True:
            arrived = self._arrived.get(timeout=timeout)
            if arrived is not None:
                return arrived
            # A chunk of a message that is still coming.
            self._channel.send({"type": ACK, "id": self.number})

    def put(self, message: Json) -> None:
        """Wake the thread that waits, with a message of our own."""
        self._arrived.put((message, ()))

    def send(self, message: Json, payloads: Payloads = (), look: Callable[[], object] | None = None) -> None:
        """Send a message. ``look`` is called now and then while the other side does not take it, and may raise.

        Raises:
            Disconnected: the other side is gone.
        """
        message["id"] = self.number
        if not payloads:
            self._channel.send(message, (), look)
            return
        views = [memoryview(p).cast("B") for p in payloads]
        message["sizes"] = [v.nbytes for v in views]
        if sum(message["sizes"]) <= CHUNK:
            self._channel.send(message, views, look)
            return
        acknowledged = self._acknowledged = self._acknowledged or threading.Semaphore(WINDOW)
        self._channel.send(message, (), look)
        for chunk in _chunks(views):
            self._wait(acknowledged, look)
            self._channel.send({"type": DATA, "id": self.number}, chunk, look)

    def wait_for_room(self) -> None:
        """Before an item of a stream is sent: wait until the other side has taken enough of those before it."""
        if self._room is None:
            self._room = threading.Semaphore(ITEMS)
        self._wait(self._room, None)

    def took_item(self) -> None:
        """After an item of a stream was taken: tell the other side, now and then."""
        self._taken += 1
        if self._taken >= ITEMS // 2:
            self._channel.send({"type": TAKEN, "id": self.number, "count": self._taken})
            self._taken = 0

    def wake(self) -> None:
        """Let a sender that waits for the other side look around."""
        for semaphore in (self._room, self._acknowledged):
            if semaphore is not None:
                semaphore.release(ITEMS)

    def end(self) -> None:
        """No more messages are expected."""
        self._channel.exchanges.pop(self.number, None)

    def forget(self) -> None:
        """In a forked child: what has arrived is the parent's, and nothing more will."""
        self._arrived = SimpleQueue()
        self._acknowledged = self._room = None
        self.put(CLOSED)

    def _wait(self, semaphore: threading.Semaphore, look: Callable[[], object] | None) -> None:
        if self._channel.closed:
            raise Disconnected
        while not semaphore.acquire(timeout=None if look is None else 0.1):
            assert look is not None
            look()
        if self._channel.closed:
            raise Disconnected

    # -- for the thread that reads -----------------------------------------------------------------------------------

    def arrived(self, message: Json, payload: bytearray | None) -> None:
        """Take in a frame."""
        kind = message["type"]
        if kind == ACK:
            if self._acknowledged is not None:
                self._acknowledged.release()
        elif kind == TAKEN:
            if self._room is not None:
                self._room.release(message["count"])
        elif (sizes := message.get("sizes")) is not None and payload is None and sum(sizes):
            self._incoming = _Incoming(message)
        else:
            self._arrived.put((message, _split(payload, sizes)))

    def chunk(self, size: int, read_into: Callable[[memoryview], object]) -> None:
        """Take in a chunk, which ``read_into`` writes where it is told to."""
        incoming = self._incoming
        if incoming is None:
            raise ValueError("a chunk of no payload")
        incoming.chunk(size, read_into)
        self._arrived.put(None)
        if not incoming.missing:
            self._incoming = None
            self._arrived.put((incoming.message, incoming.payloads()))


class _Incoming:
    """Payloads that come in chunks. Each is written where it stays and becomes bytes as it is: none is held twice."""

    def __init__(self, message: Json) -> None:
        self.message = message
        self.missing = sum(message["sizes"])
        # Given bytes that nobody else has, a BytesIO writes into them and gives them back.
        self._rooms = [io.BytesIO(bytes(size)) for size in message["sizes"]]
        self._at = [0, 0]  # which room, and where in it

    def chunk(self, size: int, read_into: Callable[[memoryview], object]) -> None:
        """Fill the next ``size`` bytes."""
        if size > self.missing:
            raise ValueError("a chunk is too large")
        self.missing -= size
        while size:
            which, start = self._at
            with self._rooms[which].getbuffer() as room:
                part = min(size, len(room) - start)
                if part:
                    read_into(room[start : start + part])
                self._at = [which, start + part] if start + part < len(room) else [which + 1, 0]
            size -= part

    def payloads(self) -> Payloads:
        """When nothing is missing."""
        return [room.getvalue() for room in self._rooms]


def _chunks(views: Sequence[memoryview]) -> Iterator[list[memoryview]]:
    """The payloads in pieces of at most ``CHUNK`` bytes: large ones are cut, small ones go together."""
    chunk: list[memoryview] = []
    room = CHUNK
    for view in views:
        at = 0
        while at < view.nbytes:
            part = view[at : at + room]
            chunk.append(part)
            at += part.nbytes
            room -= part.nbytes
            if not room:
                yield chunk
                chunk, room = [], CHUNK
    if chunk:
        yield chunk


def _split(payload: bytearray | None, sizes: Sequence[int] | None) -> Payloads:
    if not sizes:
        return ()
    if len(sizes) == 1:
        return (payload or b"",)
    view, ends = memoryview(payload or b""), list(itertools.accumulate(sizes))
    return [view[end - size : end] for end, size in zip(ends, sizes, strict=True)]


class Channel:
    """The connection. ``opened`` is given each exchange that the other side begins."""

    def __init__(self, sock: socket.socket, opened: Callable[[Exchange], object] | None = None) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALL)
        set_up_tcp(sock)
        self._sock = sock
        self._input = cast(io.BufferedReader, sock.makefile("rb", buffering=1 << 16))
        self._opened = opened
        self._sending = threading.RLock()  # whose owner is known: an interrupt may come as soon as it is had
        self._sender: int | None = None
        self._numbers = itertools.count(1)
        self.exchanges: dict[int, Exchange] = {}
        self.closed = False
        self.fault = ""  # what the other side said that nobody understands, which has ended the connection

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
        text_size, size = HEAD.unpack(self._exactly(HEAD.size))
        if text_size > protocol.LARGEST_TEXT or size > CHUNK:
            raise ValueError("a frame is too large")
        message = protocol.decode(self._exactly(text_size))
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
