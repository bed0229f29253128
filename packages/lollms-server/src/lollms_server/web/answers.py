"""What is sent back: a whole answer, or one that is made while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.types import Send

from lollms_server.web import sse
from lollms_server.web.plain_json import text_of

BIG = 65_536  # bytes or so: what takes longer is not for the event loop


class Answer:
    """A whole answer."""

    def __init__(self, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.body = body
        self.status = status
        self.headers = dict(headers or {})

    async def send_head(self, send: Send) -> None:
        """Send its headers, for who asks for no more (HEAD)."""
        await self.send(send)

    async def send(self, send: Send) -> None:
        """Send all of it."""
        headers = _encoded(self.headers)
        if self.status not in (204, 304):
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class Streamed(Answer):
    """An answer whose parts are sent as they are made. A part that fails cuts it, so that it is not taken for whole."""

    def __init__(self, parts: AsyncIterator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(b"", 200, headers)
        self.parts = parts

    async def send_head(self, send: Send) -> None:
        """Its headers; none of its parts is made."""
        await sse.close(self.parts)
        await send({"type": "http.response.start", "status": self.status, "headers": _encoded(self.headers)})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def send(self, send: Send) -> None:
        headers = _encoded(self.headers)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        try:
            async for part in self.parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        finally:
            await sse.close(self.parts)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def dumped(value: Any) -> bytes:
    """As JSON, in UTF-8."""
    return text_of(value, ascii=False).encode("utf-8", "replace")


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A small JSON answer."""
    return Answer(dumped(value), status, {"content-type": "application/json", **(headers or {})})


async def big_json_answer(value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer of any size, which another thread makes."""
    body = await asyncio.to_thread(dumped, value)
    return Answer(body, 200, {"content-type": "application/json", **(headers or {})})


async def text_answer(text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Text that is not JSON."""
    body = text.encode("utf-8", "replace")
    return Answer(body, 200, {"content-type": "text/plain; charset=utf-8", **(headers or {})})
