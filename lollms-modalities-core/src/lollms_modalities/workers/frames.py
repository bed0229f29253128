"""Frames out of the bytes that a connection gives.

Whoever reads may be interrupted anywhere, by Ctrl-C or a signal's handler that raises, and another goes on where that
was. So bytes are noted by the same operation of the interpreter that receives them, and a frame counts as taken when it
has been handed out: one that was handed out and not counted comes again, with the number that it had. Interrupts come
between calls and loops, and not between two stores that stand side by side.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lollms_modalities.workers import protocol
from lollms_modalities.workers.protocol import CHUNK, DATA, HEAD, Json

if TYPE_CHECKING:
    from lollms_modalities.workers.exchange import Incoming

AT_ONCE = 1 << 16  # bytes received at once, and of payload that come with their text: larger ones go where they stay
_SHOWN = 150  # bytes of what is no frame that an error shows


class BadFrame(Exception):
    """What came is no frame, or not one that may come now."""


@runtime_checkable
class Receiver(Protocol):
    """What takes bytes from a connection, and notes them where no interrupt can come between."""

    def pending(self) -> bool:
        """Whether bytes may be had of which the system knows nothing any more."""

    def receive(self, got: list[bytes]) -> None:
        """Append what is there to ``got``, ``b""`` at the end. Raises ``BlockingIOError`` if nothing is there."""

    def receive_into(self, room: memoryview, got: list[int]) -> None:
        """Write it to ``room``, and append the number of bytes to ``got``, 0 at the end. Raises as ``receive``."""


class SocketReceiver:
    """Of a plain socket."""

    def pending(self) -> bool:
        """None are."""
        return False

    def __init__(self, sock: socket.socket) -> None:
        self._recv, self._recv_into = sock.recv, sock.recv_into

    def receive(self, got: list[bytes]) -> None:
        """As ``Receiver.receive``."""
        got.extend(map(self._recv, (AT_ONCE,), (socket.MSG_DONTWAIT,)))

    def receive_into(self, room: memoryview, got: list[int]) -> None:
        """As ``Receiver.receive_into``."""
        got.extend(map(self._recv_into, (room,), (0,), (socket.MSG_DONTWAIT,)))


class WaitingReceiver:
    """Of anything with ``recv_into``, which waits until something is there. For a thread that is never interrupted."""

    def pending(self) -> bool:
        """Not known, and nobody asks."""
        return False

    def __init__(self, recv_into: Callable[[Any], int]) -> None:
        self._recv_into = recv_into

    def receive(self, got: list[bytes]) -> None:
        """As ``Receiver.receive``."""
        room = bytearray(AT_ONCE)
        got.append(bytes(memoryview(room)[: self._recv_into(room)]))

    def receive_into(self, room: memoryview, got: list[int]) -> None:
        """As ``Receiver.receive_into``."""
        got.append(self._recv_into(room))


class Frame:
    """One frame.

    Attributes:
        number: of those that came, from 1 on.
        message: what it says.
        payload: its bytes, where they are few or come in no chunks.
        incoming: of a chunk, what it is a part of, and ``end`` where in that it ends.
    """

    __slots__ = ("_rooms", "counts", "end", "incoming", "message", "number", "payload")

    def __init__(self, number: int, message: Json, payload: bytes | bytearray | None = None) -> None:
        self.number = number
        self.message = message
        self.payload = payload
        self.incoming: Incoming | None = None
        self.end = 0

    def fill(self, rooms: list[memoryview]) -> None:
        """Its payload is to be written there."""
        self._rooms = rooms
        self.counts: list[int] = []  # bytes of it that have come

    def room(self) -> memoryview | None:
        """Where what comes next belongs; None when it is whole."""
        missing = sum(self.counts)
        for room in self._rooms:
            if missing < len(room):
                return room[missing:]
            missing -= len(room)
        return None


class Frames:
    """The frames of one connection.

    Args:
        receiver: where the bytes come from.
        incoming: gives, of a chunk's message, what the chunk is a part of; None where there is no such thing.
    """

    def __init__(self, receiver: Receiver, incoming: Callable[[Json], Incoming | None]) -> None:
        self._receiver = receiver
        # Of a plain socket the system knows all.
        self._pending = None if isinstance(receiver, SocketReceiver) else receiver.pending
        self._incoming = incoming
        self._got: list[bytes] = []  # as it came
        self._data, self._at = b"", 0  # what was joined of it, and where in it the next frame begins
        self._needed = HEAD.size  # bytes before anything can be said
        self._large: Frame | None = None  # whose payload is coming
        self._number = 0

    def receive(self) -> None:
        """Take in what is there.

        Raises:
            BlockingIOError: nothing is.
            EOFError: the other side is gone; other ``OSError``, as well.
        """
        if self._large is not None and (room := self._large.room()) is not None:
            counts = self._large.counts
            self._receiver.receive_into(room, counts)
            if not counts[-1]:
                raise EOFError
            return
        self._receiver.receive(self._got)
        if not self._got[-1]:
            raise EOFError

    def unfinished(self) -> bool:
        """Whether there may be more to hand out, or to receive, than the system tells of."""
        if self._at < len(self._data) or self._got:
            return True
        return self._pending is not None and self._pending()

    def next(self) -> Frame | None:
        """The next frame, the same until it is ``taken``; None while it is not whole.

        Raises:
            BadFrame: it is none.
        """
        if self._large is not None:
            return self._filled(self._large)
        if self._got:
            self._join()
        data, at = self._data, self._at
        there = len(data) - at
        if there < HEAD.size:
            return None
        text_size, size = HEAD.unpack_from(data, at)
        if text_size > protocol.LARGEST_FIRST or size > CHUNK:
            self._check(text_size, size)
        start = at + HEAD.size
        end = start + text_size
        needed = end - at + (size if size <= AT_ONCE else 0)
        if there < needed:
            self._needed = needed
            return None
        try:
            message = protocol.decode(data[start:end])
        except ValueError as exc:
            raise BadFrame(f"{type(exc).__name__}: {exc}") from exc
        frame = Frame(self._number + 1, message)
        if message["type"] == DATA:
            self._begin_chunk(frame, size)
        elif size > AT_ONCE:
            frame.payload = bytearray(size)
            frame.fill([memoryview(frame.payload)])
        else:
            if size:
                frame.payload = data[end : end + size]
            frame.end = end + size
            return frame
        self._large, self._at = frame, end
        return self._filled(frame)

    def taken(self, frame: Frame) -> bool:
        """It has been handed out. Whether nothing more is here."""
        if frame is self._large:
            self._large, self._needed, self._number = None, HEAD.size, frame.number
        else:
            self._at, self._needed, self._number = frame.end, HEAD.size, frame.number
        if self._at < len(self._data):
            return False
        self._data, self._at = b"", 0
        return not self._got

    def _join(self) -> None:
        got, data, at = self._got, self._data, self._at
        there = len(data) - at
        if there + sum(map(len, got)) < self._needed:
            return
        joined = got[0] if not there and len(got) == 1 else b"".join((memoryview(data)[at:], *got))
        self._data, self._at, self._got = joined, 0, []

    def _check(self, text_size: int, size: int) -> None:
        if not self._number and text_size > protocol.LARGEST_FIRST:
            # What a shell or a service greets with, taken for lengths, is always larger.
            raise BadFrame(f"it began with {self._data[:_SHOWN]!r}, which is no frame")
        if text_size > protocol.LARGEST_TEXT or size > CHUNK:
            raise BadFrame("a frame is too large")

    def _begin_chunk(self, frame: Frame, size: int) -> None:
        incoming = self._incoming(frame.message)
        if incoming is None:
            raise BadFrame("a chunk of no payload")
        if size > incoming.missing:
            raise BadFrame("a chunk is too large")
        frame.incoming, frame.end = incoming, incoming.filled + size
        frame.fill(incoming.rooms(size))

    def _filled(self, frame: Frame) -> Frame | None:
        """With what had come when it was not known yet where it belongs."""
        while (room := frame.room()) is not None:
            if self._at == len(self._data) and self._got:
                self._data, self._at, self._got = b"".join(self._got), 0, []
            part = min(len(room), len(self._data) - self._at)
            if not part:
                return None
            at = self._at
            room[:part] = self._data[at : at + part]
            counts = [*frame.counts, part]
            frame.counts, self._at = counts, at + part
        return frame
