"""The messages of one request, in both directions: each is whole when it is taken, and neither side is overrun.

What is large goes in chunks, of which so many may be under way as the protocol says; of streams so many items.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lollms_modalities.workers.protocol import ACK, CHUNK, DATA, ITEMS, TAKEN, WINDOW, Buffer, Json
from lollms_modalities.workers.values import media_in

if TYPE_CHECKING:
    from lollms_modalities.workers.channel import Channel

CLOSED: Json = {"type": "closed"}
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

    def wait_for_room(self, items: int = ITEMS) -> None:
        """Before an item of a stream is sent: wait until no more than ``items`` before it were not taken."""
        if self._room is None:
            self._room = threading.Semaphore(items)
        self._wait(self._room, None)

    def took_item(self, items: int = ITEMS) -> None:
        """After an item of a stream was taken, of which ``items`` may be under way: tell the other side sometimes."""
        self._taken += 1
        if self._taken >= items // 2:
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
        classes = dict(media_in(message))
        self._made = [classes.get(n, bytes)(bytes(size)) for n, size in enumerate(message["sizes"])]
        self._at = [0, 0]  # which of them, and where in it

    def chunk(self, size: int, read_into: Callable[[memoryview], object]) -> None:
        """Fill the next ``size`` bytes."""
        if size > self.missing:
            raise ValueError("a chunk is too large")
        self.missing -= size
        while size:
            which, start = self._at
            room = _room_of(self._made[which])
            part = min(size, len(room) - start)
            if part:
                read_into(room[start : start + part])
            self._at = [which, start + part] if start + part < len(room) else [which + 1, 0]
            size -= part

    def payloads(self) -> Payloads:
        """When nothing is missing."""
        return self._made


def _room_of(made: bytes) -> memoryview:
    """Where the content of bytes lies, to be written: they are new, and nobody else has them.

    Python has no other way to media, which are derived from bytes, than a second copy of what they are to hold.
    """
    import ctypes

    address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))
    return memoryview((ctypes.c_char * len(made)).from_address(address(made))).cast("B")


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
