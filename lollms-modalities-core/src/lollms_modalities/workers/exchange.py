"""The messages of one request, in both directions: each is whole when it is taken, and neither side is overrun.

What is large goes in chunks, of which so many may be under way as the protocol says; of streams so many items.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lollms_modalities.workers.protocol import ACK, CHUNK, DATA, ENDS, ITEMS, TAKEN, WINDOW, Buffer, Json
from lollms_modalities.workers.reading import Inbox, InTheMiddle
from lollms_modalities.workers.values import media_in

if TYPE_CHECKING:
    from lollms_modalities.workers.channel import Channel
    from lollms_modalities.workers.frames import Frame

CLOSED: Json = {"type": "closed"}
Payloads = Sequence[Buffer]


class Disconnected(Exception):
    """The other side is gone."""


# A frame's number, 0 of what nobody sent; the message, None of a chunk of one; its payloads.
_Arrived = tuple[int, Json | None, Payloads]


class Exchange:
    """The messages of one request. Each is taken by the one thread that waits for it."""

    def __init__(self, channel: Channel, number: int) -> None:
        self.number = number
        self.over = False  # whether its last message has come, which an interrupt may have lost
        self._channel = channel
        self._inbox: Inbox[_Arrived] = Inbox(channel.reading)
        self._seen = 0  # the number of the last message that was taken
        # Made when something large, or a stream, is sent: most exchanges have neither.
        self._acknowledged: threading.Semaphore | None = None
        self._room: threading.Semaphore | None = None
        self._taken = 0
        self.incoming: Incoming | None = None  # a message whose payloads are coming

    def get(self, timeout: float | None = None) -> tuple[Json, Payloads]:
        """The next message and its payloads.

        Raises:
            queue.Empty: none has come for ``timeout`` seconds.
            Disconnected: none can come.
        """
        while True:
            try:
                number, message, payloads = self._inbox.get(timeout)
            except InTheMiddle:
                raise Disconnected from None
            if message is None:
                self._channel.send({"type": ACK, "id": self.number})
            elif not number or number != self._seen:  # else it was handed out twice
                self._seen = number or self._seen
                return message, payloads

    @property
    def lost(self) -> bool:
        """Whether its last message has come and is not there any more: an interrupt came when it was taken."""
        return self.over and self._inbox.empty()

    def put(self, message: Json) -> None:
        """Wake the thread that waits, with a message of our own."""
        self._inbox.put((0, message, ()))

    def send(self, message: Json, payloads: Payloads = (), look: Callable[[], object] | None = None) -> None:
        """Send a message. ``look`` is called now and then while the other side does not take it, and may raise.

        Raises:
            Disconnected: the other side is gone.
        """
        message["id"] = self.number
        if not payloads:
            self._channel.send(message, (), look)
            return
        parts = [p if isinstance(p, bytes) else memoryview(p).cast("B") for p in payloads]
        sizes = message["sizes"] = list(map(len, parts))
        if sum(sizes) <= CHUNK:
            self._channel.send(message, parts, look)
            return
        acknowledged = self._acknowledged = self._acknowledged or threading.Semaphore(WINDOW)
        self._channel.send(message, (), look)
        for chunk in _chunks([memoryview(part) for part in parts]):
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
        self._inbox = Inbox(self._channel.reading)
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

    # -- for whoever reads -------------------------------------------------------------------------------------------

    def arrived(self, frame: Frame) -> None:
        """Take in a frame. One that was taken in, and comes again, does no harm."""
        message = frame.message
        kind = message["type"]
        if kind == ACK:
            if self._acknowledged is not None:
                self._acknowledged.release()
        elif kind == TAKEN:
            if self._room is not None:
                self._room.release(message["count"])
        elif (sizes := message.get("sizes")) is not None and frame.payload is None and sum(sizes):
            self.incoming = Incoming(self, message)
        else:
            self.deliver(frame.number, message, _split(frame.payload, sizes))

    def deliver(self, number: int, message: Json | None, payloads: Payloads = ()) -> None:
        """Give it to the thread that waits, or will."""
        if message is not None and message["type"] in ENDS:
            self.over = True
        self._inbox.deliver((number, message, payloads))


class Incoming:
    """Payloads that come in chunks. Each is written where it stays and becomes bytes as it is: none is held twice.

    Attributes:
        filled: bytes that have come.
    """

    def __init__(self, exchange: Exchange, message: Json) -> None:
        self.filled = 0
        self._exchange = exchange
        self._message = message
        self._size = sum(message["sizes"])
        classes = dict(media_in(message))
        self._made = [_unwritten(classes.get(n, bytes), size) for n, size in enumerate(message["sizes"])]

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self._size - self.filled

    def rooms(self, size: int) -> list[memoryview]:
        """Where the next so many bytes belong."""
        rooms, at = [], self.filled
        for made in self._made:
            if size and at < len(made):
                rooms.append(_room_of(made)[at : at + size])
                size -= len(rooms[-1])
            at = max(0, at - len(made))
        return rooms

    def arrived(self, frame: Frame) -> None:
        """A chunk has been written there. As ``Exchange.arrived``."""
        self.filled = frame.end
        self._exchange.deliver(0, None)
        if not self.missing:
            self._exchange.incoming = None
            self._exchange.deliver(frame.number, self._message, self._made)


def _unwritten(kind: type[bytes], size: int) -> bytes:
    """So many bytes of that class, to be written.

    ``kind(bytes(size))`` would take the memory of all twice: more than the C library keeps, so that the system would
    give and clear it anew for each result, which takes longer than to carry what belongs there.
    """
    if kind is bytes:
        return bytes(size)
    import ctypes

    allocate = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_ssize_t)
    made: bytes = allocate(("PyType_GenericAlloc", ctypes.pythonapi))(kind, size)
    # Before the content is its hash, which is to be -1 where it was not asked for.
    ctypes.c_ssize_t.from_address(_address_of(made) - ctypes.sizeof(ctypes.c_ssize_t)).value = -1
    return made


def _room_of(made: bytes) -> memoryview:
    """Where the content of bytes lies, to be written: they are new, and nobody else has them.

    Python has no other way to media, which are derived from bytes, than a second copy of what they are to hold.
    """
    import ctypes

    return memoryview((ctypes.c_char * len(made)).from_address(_address_of(made))).cast("B")


def _address_of(made: bytes) -> int:
    import ctypes

    address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)
    found: int = address(("PyBytes_AsString", ctypes.pythonapi))(made)
    return found


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


def _split(payload: bytes | bytearray | None, sizes: Sequence[int] | None) -> Payloads:
    if not sizes:
        return ()
    if len(sizes) == 1:
        return (payload or b"",)
    view, ends = memoryview(payload or b""), list(itertools.accumulate(sizes))
    return [view[end - size : end] for end, size in zip(ends, sizes, strict=True)]
