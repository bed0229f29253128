"""Events of the protocol: read with bounds on everything, and written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lollms_server.web.errors import Refused

VERSION = "1.10.0"  # of the protocol's package whose events these are; every event says it
# ASCII: a lone surrogate of a text can be written, and no line end is in it. It is made once, not for each event.
_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class Limits:
    """How much of anything is taken of a connection.

    Attributes:
        line_bytes: the line that begins an event.
        data_bytes: JSON after the line.
        payload_bytes: sound after that.
        text: characters that wait to be spoken.
        waiting: texts that wait to be spoken.
        held_bytes: sound of all connections that is kept until it has come whole.
        event_seconds: in which an event that has begun is there, and a second more for each 64 kB.
        idle_seconds: between two events of which nothing is under way; ``pause_seconds``, between two of sound.
        read_seconds: for which nothing of what is sent is taken; ``linger_seconds``, of what was sent last.
    """

    line_bytes: int = 65_536
    data_bytes: int = 1_000_000
    payload_bytes: int = 4_000_000
    text: int = 200_000
    waiting: int = 256
    held_bytes: int = 500_000_000
    event_seconds: float = 10.0
    idle_seconds: float = 300.0
    pause_seconds: float = 30.0
    read_seconds: float = 60.0
    linger_seconds: float = 5.0


@dataclass(frozen=True)
class Event:
    """One event: its type, its data, and sound."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def text(self, name: str, *, most: int = 1000) -> str | None:
        """A text of its data; None where there is none.

        Raises:
            Refused: it is none, or longer.
        """
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise Refused(
                f"{name!r} of {self.type!r:.40} is no text of at most {most} characters.", code="invalid_value",
                param=name,
            )  # fmt: skip
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number of its data.

        Raises:
            Refused: it is none, or not between these.
        """
        value = self.data.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Refused(
                f"{name!r} of {self.type!r:.40} is {value!r:.40}.", code="invalid_value", param=name,
                hint=f"A whole number from {least} to {most}.",
            )  # fmt: skip
        return value


async def read(reader: asyncio.StreamReader, limits: Limits, idle: float) -> Event | None:
    """The next event; None where the connection has ended.

    Raises:
        TimeoutError: none has begun for ``idle`` seconds.
        Refused: it is none, is larger than is taken, or comes too slowly.
    """
    try:
        async with asyncio.timeout(idle):
            first = await reader.readexactly(1)
    except asyncio.IncompleteReadError:
        return None
    try:
        async with asyncio.timeout(limits.event_seconds):
            head = _head(first if first == b"\n" else first + await reader.readuntil(b"\n"))
        more = _length(head, "data_length", limits.data_bytes)
        sound = _length(head, "payload_length", limits.payload_bytes)
        async with asyncio.timeout(limits.event_seconds + (more + sound) / 65_536):
            data = {**head["data"], **_object(await reader.readexactly(more))} if more else head["data"]
            return Event(head["type"], data, await reader.readexactly(sound) if sound else b"")
    except asyncio.IncompleteReadError:
        return None  # half of an event is none
    except TimeoutError:
        raise Refused("An event came too slowly.", status=408, code="too_slow") from None
    except asyncio.LimitOverrunError:
        raise Refused("The line of an event is too long.", status=413, code="too_large") from None


def _head(line: bytes) -> dict[str, Any]:
    head = _object(line)
    head["data"] = {} if head.get("data") is None else head["data"]
    if not isinstance(head.get("type"), str) or not isinstance(head["data"], dict):
        raise Refused("An event has a type, a text, and its data is an object.", code="invalid_event")
    return head


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(
            "This is no event of Wyoming's: it begins with a line that is a JSON object.", code="invalid_event"
        )
    return value


def _length(head: Mapping[str, Any], name: str, most: int) -> int:
    value = head.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused(f"{name} is {value!r:.40}.", code="invalid_event")
    if value > most:
        raise Refused(f"{name} is {value!s:.40}, and {most} are taken.", status=413, code="too_large")
    return value


def written(event: Event) -> bytes:
    """An event as it is sent."""
    head: dict[str, Any] = {"type": event.type, "version": VERSION}
    data = _dumped(event.data) if event.data else b""
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return b"".join((_dumped(head), b"\n", data, event.payload))


def _dumped(value: Mapping[str, Any]) -> bytes:
    return _encoder.encode(value).encode("ascii")
