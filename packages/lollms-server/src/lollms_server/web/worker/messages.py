"""What a client may say: a list of kinds, each with its fields, types and bounds. Whatever else comes ends the session.

A WebSocket message is one frame of the worker's protocol: two lengths, a JSON object, a payload.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from lollms_modalities import wire
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lollms_server.web.answers import BIG

_SIZES = 200  # payloads of one message
_HIGHEST = 2**53


class Fault(Exception):
    """What nobody understands, or may say. It ends the session."""


class _Message(BaseModel):
    # What a newer client adds is ignored, as the protocol wants it.
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, frozen=True)

    id: int = Field(ge=0, le=_HIGHEST)


class _Carrying(_Message):
    sizes: list[Annotated[int, Field(ge=0, le=_HIGHEST)]] = Field(default=[], max_length=_SIZES)


class Hello(_Message):
    """The first: which binding is meant. What it says of folders and distributions is the client's own business."""

    type: Literal["hello"]
    protocol: int = Field(ge=0, le=1000)
    minor: int = Field(default=0, ge=0, le=1000)
    modality: Literal["tts", "stt", "tti", "ttm", "ttv"]
    name: str = Field(max_length=200)


class Make(_Carrying):
    """With which settings; ``shared`` and ``variables``, which other hosts send along, are not read."""

    type: Literal["make"]
    settings: dict[str, Any] | None = None


class Call(_Carrying):
    """A verb, or one of a few methods."""

    type: Literal["call"]
    name: str = Field(max_length=100)
    positional: Any = []  # a list, or one that is marked as a tuple
    arguments: dict[str, Any] = Field(max_length=200)
    controls: bool = False
    progress: bool = False
    stream: bool = False
    input: str | None = Field(default=None, max_length=100)
    tell: bool = False
    check: bool = False


class Cancel(_Message):
    """Stop an exchange."""

    type: Literal["cancel"]
    reason: str = Field(default="", max_length=2000)


class Bye(_Message):
    """The end of the session."""

    type: Literal["bye"]


class Data(_Message):
    """The next chunk of a payload."""

    type: Literal["data"]


class Ack(_Message):
    """A chunk was taken."""

    type: Literal["ack"]


class Taken(_Message):
    """Items of a stream were taken."""

    type: Literal["taken"]
    count: int = Field(ge=1, le=wire.ITEMS)


class Item(_Carrying):
    """An item of a stream into a call."""

    type: Literal["item"]
    value: Any


class End(_Message):
    """Its end, with an error where its source raised one."""

    type: Literal["end"]
    error: dict[str, Any] | None = None


Opening = Hello | Make | Call | Bye
Message = Opening | Cancel | Data | Ack | Taken | Item | End
_ANY: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


async def read(frame: bytes | None, most_text: int) -> tuple[Message, memoryview]:
    """The message and the payload of a frame.

    Args:
        frame: a WebSocket message; None where it was none of bytes.
        most_text: bytes of JSON that are taken.

    Raises:
        Fault: it is none that a client may send.
    """
    if frame is None:
        raise Fault("a message of text: frames are bytes")
    if len(frame) < wire.HEAD.size:
        raise Fault("a frame is too short")
    text_size, size = wire.HEAD.unpack_from(frame)
    if text_size > most_text or size > wire.CHUNK:
        raise Fault("a frame is too large")
    start = wire.HEAD.size
    if len(frame) != start + text_size + size:
        raise Fault("a frame has other lengths than it says")
    view = memoryview(frame)
    text = bytes(view[start : start + text_size])
    value = _parsed(text) if text_size <= BIG else await asyncio.to_thread(_parsed, text)
    try:
        message = _ANY.validate_python(value)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in error["loc"])[:80]
        raise Fault(f"a message that is none: {where}: {error['msg']}"[:200]) from None
    return message, view[start + text_size :]


def _parsed(text: bytes) -> Any:
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except RecursionError:
        raise Fault("the JSON of a frame is nested too deeply") from None
    except ValueError:
        raise Fault("a frame holds no JSON") from None


def _int(said: str) -> int | float:
    # Whoever looks at an option refuses a number that large; here it must cost nothing to read.
    return int(said) if len(said) <= 20 else float(said)


_DECODER = json.JSONDecoder(parse_int=_int)


def write(message: dict[str, Any], payloads: list[memoryview]) -> bytes:
    """A frame of a message and what goes along with it."""
    size = sum(part.nbytes for part in payloads)
    return b"".join([wire.encode(message, size), *payloads])
