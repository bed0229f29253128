"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): the JSON that each holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lollms_modalities.errors import ServiceResponseError

_DONE = "[DONE]"  # with which some servers end


def parse_events(chunks: Iterator[bytes], longest: int, name: str) -> Iterator[Any]:
    """The values of the events, one by one, as they come.

    Args:
        chunks: the body.
        longest: bytes that an event may have.
        name: of the service, for errors.

    Raises:
        ServiceResponseError: an event that is too long, or holds no JSON.
    """
    data: list[str] = []
    for line in _lines(chunks, longest, name):
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                data.append(value.removeprefix(" "))
        elif data:
            text, data = "\n".join(data), []
            if text.strip() == _DONE:
                return
            try:
                yield json.loads(text)
            except (ValueError, RecursionError):
                raise ServiceResponseError(f"{name} sent an event that is no JSON: {text[:60]!r}.") from None


def _lines(chunks: Iterator[bytes], longest: int, name: str) -> Iterator[str]:
    """The lines that have ended; an event whose blank line never came is none."""
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        if len(rest) > longest:
            raise ServiceResponseError(f"{name} sent an event of more than {longest} bytes.")
        if b"\n" not in chunk and b"\r" not in chunk:
            continue
        # A carriage return at the end may be the half of a line's end.
        whole, mark, kept = bytes(rest).rpartition(b"\n")
        if mark:
            rest = bytearray(kept)
            text = (whole + b"\n").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
            yield from text.split("\n")[:-1]
