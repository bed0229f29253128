"""What is sent to us, read while it comes, and no more of it than is allowed."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import Receive

from lollms_server.web.answers import BIG
from lollms_server.web.errors import Refused
from lollms_server.web.settings import Limits

_LARGEST_INT = 2**63 - 1


class Gone(Exception):
    """Whoever asked is not there any more."""


class Body:
    """The body of one request, part by part.

    Args:
        receive, length: the request's, and what it says of its body's length.
        limits: how much is taken, and how slowly it may come.
        more: whether something of it is still to come.
    """

    def __init__(self, receive: Receive, limits: Limits, length: str | None, more: Callable[[], bool]) -> None:
        self._receive = receive
        self._more = more
        self._limits = limits
        self.length = _length(length)
        self.ended = False
        self._came = 0
        self._waited = 0.0

    async def parts(self, at_most: int, what: str = "body") -> AsyncIterator[bytes]:
        """What comes.

        Raises:
            Refused: 413 for more than ``at_most`` bytes, announced or come; 408 where it comes too slowly.
            Gone: the caller went away.
        """
        if self.length is not None and self.length > at_most:
            raise too_large(what, at_most)
        while not self.ended:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise Gone
            data: bytes = message.get("body", b"")
            self.ended = not message.get("more_body", False)
            self._came += len(data)
            if self._came > at_most:
                raise too_large(what, at_most)
            if data:
                yield data

    async def _next(self) -> Any:
        if not self._more():
            return await self._receive()  # at once
        limits = self._limits
        # Only while we wait for it does a slow body cost its sender time.
        left = limits.patience + self._came / limits.body_rate - self._waited
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await self._receive()
        except TimeoutError:
            raise Refused(
                f"After {self._came} bytes the body came too slowly.", status=408, code="too_slow",
                headers={"x-should-retry": "false", "connection": "close"},
            ) from None  # fmt: skip
        finally:
            self._waited += time.monotonic() - began

    async def whole(self, at_most: int, what: str = "body") -> bytes:
        """All of it."""
        return b"".join([part async for part in self.parts(at_most, what)])


def _length(said: str | None) -> int | None:
    return int(said) if said is not None and said.isascii() and said.isdigit() else None


def too_large(what: str, at_most: int) -> Refused:
    return Refused(
        f"The {what} is larger than the {at_most} bytes that are taken.", status=413, code="too_large",
        hint="Send less, or have the operator allow more.", headers={"connection": "close"},
    )  # fmt: skip


async def parse_json(data: bytes, limits: Limits) -> Any:
    """JSON without the numbers that are none, without those that nobody needs, and not deeper than is allowed."""
    if len(data) > BIG:
        return await asyncio.to_thread(_parse, data, limits.json_depth)
    return _parse(data, limits.json_depth)


def _parse(data: bytes, depth: int) -> Any:
    if not data.strip():
        raise Refused("The body is empty.", code="empty_body", hint="Send JSON.")
    try:
        text = data.decode("utf-8-sig")  # some shells put a mark before it
    except UnicodeDecodeError:
        raise Refused("The body is no UTF-8.", code="invalid_json") from None
    return read_json(text, depth)


def read_json(text: str, depth: int, field: str | None = None) -> Any:
    """JSON that a caller wrote, wherever it stands: in a body, or in a field of a form.

    Args:
        depth: how deep its lists and objects may go.
        field: of a form, in which it stands.

    Raises:
        Refused: it is none; it is deeper; it holds a number that is none or too large, or a text that is none.
    """
    try:
        value = _DECODER.decode(text)
        _check(value, depth, depth)
    except RecursionError:
        raise Refused(_deep(depth), code="invalid_json", param=field) from None
    except json.JSONDecodeError as exc:
        what = "body" if field is None else f"field {field!r}"
        raise Refused(
            f"The {what} is no JSON: {exc.msg}, in line {exc.lineno}, column {exc.colno}.", code="invalid_json",
            param=field,
        ) from None  # fmt: skip
    except Refused as exc:
        exc.param = field
        raise
    return value


def _no_number(said: str) -> float:
    raise Refused(f"{said} is no number of JSON's.", code="invalid_number")


def _float(said: str) -> float:
    value = float(said)
    if not math.isfinite(value):
        raise Refused(f"The number {said:.40} is too large.", code="invalid_number")
    return value


def _int(said: str) -> int:
    if len(said) > 20 or abs(int(said)) > _LARGEST_INT:
        raise Refused(f"The number {said:.40} is too large.", code="invalid_number", hint="At most 2**63 - 1.")
    return int(said)


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_float, parse_int=_int)


def _check(value: Any, left: int, depth: int) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value)
    elif isinstance(value, list):
        if not left:
            raise Refused(_deep(depth), code="invalid_json")
        for held in value:
            _check(held, left - 1, depth)
    elif isinstance(value, dict):
        if not left:
            raise Refused(_deep(depth), code="invalid_json")
        for name, held in value.items():
            _check(name, left, depth)
            _check(held, left - 1, depth)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(
            "A text of the JSON holds half of a pair of surrogates, which is no character.", code="invalid_json",
            hint="Cut texts between characters.",
        ) from None  # fmt: skip


def _deep(depth: int) -> str:
    return f"The JSON is nested deeper than {depth} levels."
