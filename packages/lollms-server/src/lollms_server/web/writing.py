"""What is written to a connection in one turn of the event loop leaves in one piece.

An answer's head and its body are two writes of uvicorn's. On their own they are two packets, and whoever asked wakes
twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

_HELD = 65_536  # bytes that are held back at most


class Together:
    """A transport that holds back what is written until the loop's next turn, or until ``flush``.

    Args:
        transport: what does all else.
        loop: its event loop.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[Any] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Any) -> None:
        """Write it soon."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _HELD:
            self.flush()

    def flush(self) -> None:
        """Write what was held back."""
        if self._parts and not self._transport.is_closing():
            parts, self._parts, self._size = self._parts, [], 0
            # A large one is not copied for the sake of a small one.
            if sum(map(len, parts)) > _HELD:
                for part in parts:
                    self._transport.write(part)
            else:
                self._transport.write(b"".join(parts))

    def get_write_buffer_size(self) -> int:
        """Bytes that were not taken yet."""
        return self._size + int(self._transport.get_write_buffer_size())

    def abort(self) -> None:
        """Close it at once."""
        self._parts, self._size = [], 0
        self._transport.abort()

    def close(self) -> None:
        """Close it when all was written."""
        self.flush()
        self._transport.close()
