"""What the program and the process that holds Ray say to each other: JSON over a Unix socket, with descriptors."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

_HEAD = struct.Struct(">II")  # bytes of text, and descriptors that come with them
_LARGEST = 16 << 20


class Frames:
    """Frames in both directions. One thread may read while another writes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = b""
        self._descriptors: list[int] = []

    def write(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message, and copies of descriptors with it. Raises OSError."""
        text = json.dumps(message).encode()
        head = _HEAD.pack(len(text), len(descriptors))
        if descriptors:
            sent = socket.send_fds(self._sock, [head], list(descriptors))
            head = head[sent:]
        self._sock.sendall(head + text)

    def read(self) -> tuple[dict[str, Any], list[int]]:
        """The next message and its descriptors. Raises EOFError at the end."""
        size, count = _HEAD.unpack(self._exactly(_HEAD.size))
        if size > _LARGEST:
            raise EOFError
        message = json.loads(self._exactly(size))
        ours, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message, ours

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            data, descriptors, _, _ = socket.recv_fds(self._sock, 1 << 16, 16)
            self._descriptors += descriptors
            if not data:
                raise EOFError
            self._data += data
        taken, self._data = self._data[:size], self._data[size:]
        return taken
