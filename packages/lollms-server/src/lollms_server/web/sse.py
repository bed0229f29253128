"""Server-sent events as OpenAI's SDKs read them.

Only JSON stands in ``data``, in ASCII: no line end of a text can end the event, U+2028 and a lone surrogate included.
The last event ends with a blank line, or it is lost. A comment says that the server is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lollms_server.web.plain_json import text_of

PING = b": ping\n\n"
HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}


def event(data: dict[str, Any]) -> bytes:
    """One event."""
    return b"data: " + text_of(data).encode("ascii") + b"\n\n"


async def pinged(events: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """The events, with a comment wherever none comes for so many seconds."""
    step: asyncio.Task[bytes] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(events))
            while not (await asyncio.wait({step}, timeout=seconds))[0]:
                yield PING
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            step = None
            yield item
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        await close(events)


async def close(source: Any) -> None:
    """Close an async iterator, where it can be closed."""
    end = getattr(source, "aclose", None)
    if end is not None:
        await end()
