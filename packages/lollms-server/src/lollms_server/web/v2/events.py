"""A call as events: how far it is, what it gives, how it was made.

``progress``, of many reports at once the first and the last of each stage; ``payload`` with a part of the bytes that
the event after it names by number; ``item`` of a stream, and ``done`` at its end; ``result`` of a call; ``error`` where
it fails in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from lollms_modalities import Progress, Provenance

from lollms_server.room.models import Chosen
from lollms_server.room.streaming import Untold
from lollms_server.web import errors, sse
from lollms_server.web.asked import Asked
from lollms_server.web.v2 import values


class _Came(NamedTuple):
    """What came of a call."""

    type: str  # "item", "done" or "result"
    value: Any
    provenance: Provenance | None


async def events_of(
    asked: Asked, chosen: Chosen, verb: str, args: tuple[Any, ...], arguments: Mapping[str, Any], streams: bool
) -> AsyncIterator[bytes]:
    """The events of a call. What fails before the first is raised."""
    reports = _Reports()
    source = _came(asked, chosen, verb, args, {**arguments, "progress": reports.tell}, streams)
    step: asyncio.Task[_Came | None] | None = None
    began = False
    try:
        while True:
            step = step or asyncio.ensure_future(anext(source, None))
            waiting = asyncio.ensure_future(reports.there.wait())
            try:
                await asyncio.wait({step, waiting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            ended = step.done()  # what was reported before is told before
            for report in reports.take():
                for part in _with_payloads(values.progress_of, report):
                    began = True
                    yield part
            if not ended:
                continue
            came, step = step.result(), None
            if came is None:
                return
            for part in await asyncio.to_thread(_with_payloads, _told, came):
                began = True
                yield part
            if came.type != "item":
                return  # nothing is told after the end, also where a report of how far it was comes late
    except Exception as exc:
        if not began:
            raise
        yield sse.event({"type": "error", **errors.told(exc, ours=True).body})
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        await sse.close(source)


class _Reports:
    """The reports that nobody has been told of yet."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self._untold = Untold()

    def tell(self, progress: Progress) -> None:
        self._untold.put(progress)
        self.there.set()

    def take(self) -> list[Progress]:
        self.there.clear()
        return self._untold.take()


async def _came(
    asked: Asked, chosen: Chosen, verb: str, args: tuple[Any, ...], arguments: Mapping[str, Any], streams: bool
) -> AsyncIterator[_Came]:
    if not streams:
        result = await asked.room.call(chosen, asked.caller, verb, *args, **arguments)
        one = result[0] if isinstance(result, list) and result else result
        yield _Came("result", result, getattr(one, "provenance", None))
        return
    stream = asked.room.stream(chosen, asked.caller, verb, *args, **arguments)
    try:
        async for item in stream:
            yield _Came("item", item, None)
        yield _Came("done", None, stream.provenance)
    finally:
        await stream.aclose()


def _told(came: _Came, payloads: list[bytes]) -> dict[str, Any]:
    event: dict[str, Any] = {"type": came.type}
    if came.type != "done":
        event["value"] = values.to_json(came.value, payloads)
    if came.type != "item":
        event["provenance"] = values.provenance_of(came.provenance)
    return event


def _with_payloads(make: Callable[[Any, list[bytes]], dict[str, Any]], value: Any) -> list[bytes]:
    """The events of something: its payloads before itself."""
    payloads: list[bytes] = []
    told = make(value, payloads)
    before = [
        sse.event({"type": "payload", "number": number, "data": part})
        for number, payload in enumerate(payloads)
        for part in values.parts(payload)
    ]
    return [*before, sse.event(told)]
