"""A WebSocket's client of bare bytes, which may send what no honest one does."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

TEXT, BYTES, END, PING, PONG = 1, 2, 8, 9, 10


def frame(data: bytes, opcode: int = TEXT, *, fin: bool = True, bits: int = 0, masked: bool = True,
          length: int | None = None) -> bytes:  # fmt: skip
    """One frame.

    Args:
        bits: the reserved ones.
        length: that it claims to have, in eight bytes; its own, in as few as it takes, where it is left out.
    """
    first = fin << 7 | bits << 4 | opcode
    size = len(data)
    if length is not None:
        head = struct.pack(">BBQ", first, masked << 7 | 127, length)
    elif size < 126:
        head = struct.pack(">BB", first, masked << 7 | size)
    elif size < 65_536:
        head = struct.pack(">BBH", first, masked << 7 | 126, size)
    else:
        head = struct.pack(">BBQ", first, masked << 7 | 127, size)
    return head + (bytes(4) if masked else b"") + data  # a mask of zeros changes nothing


class RawWebSocket:
    """A connection of it.

    Attributes:
        port: from which it comes.

    Args:
        window: bytes that it takes unread, at most.
    """

    def __init__(self, port: int, path: str, *, window: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(30)
        if window is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.connect(("127.0.0.1", port))
        self.port: int = self.socket.getsockname()[1]
        self._came = b""
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Bytes, as far as somebody takes them."""
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def say(self, kind: str, **fields: Any) -> None:
        """An event."""
        self.send(frame(json.dumps({"type": kind, **fields}).encode()))

    def hear(self) -> tuple[int, bytes] | None:
        """The next frame: its opcode and its data; None where the connection has ended."""
        try:
            while (found := self._frame()) is None:
                self._more()
        except ConnectionError:
            return None
        return found

    def event(self, *, pongs: bool = True) -> dict[str, Any]:
        """The next event; pings before it are answered."""
        while (found := self.hear()) is not None:
            opcode, data = found
            if opcode == TEXT:
                told: dict[str, Any] = json.loads(data)
                return told
            if opcode == PING and pongs:
                self.send(frame(data, PONG))
        raise ConnectionError("it has ended")

    def end(self, *, pongs: bool = True) -> tuple[int | None, list[dict[str, Any]]]:
        """With which code it is closed, None where it is cut, and the events that come before."""
        events: list[dict[str, Any]] = []
        while (found := self.hear()) is not None:
            opcode, data = found
            if opcode == TEXT:
                events.append(json.loads(data))
            elif opcode == PING and pongs:
                self.send(frame(data, PONG))
            elif opcode == END:
                return int.from_bytes(data[:2], "big"), events
        return None, events

    def reset(self) -> None:
        """End it as a machine that goes down."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> None:
        part = self.socket.recv(65_536)
        if not part:
            raise ConnectionError("it has ended")
        self._came += part

    def _frame(self) -> tuple[int, bytes] | None:
        came = self._came
        if len(came) < 2:
            return None
        size, at = came[1] & 127, 2
        if size > 125:
            width = 2 if size == 126 else 8
            if len(came) < at + width:
                return None
            size, at = int.from_bytes(came[at : at + width], "big"), at + width
        if len(came) < at + size:
            return None
        self._came = came[at + size :]
        return came[0] & 15, came[at : at + size]
