"""What the host and a worker say to each other: frames, messages, values, errors. ``docs/protocol.md`` explains it.

A frame is eight bytes (two unsigned 32-bit lengths, big endian), a JSON object, and a payload of raw bytes. The
object's ``type`` names the message, its ``id`` the exchange that it belongs to. Nothing is pickled.
"""

from __future__ import annotations

import functools
import json
import logging
import struct
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json, to_json

from lollms_modalities import media
from lollms_modalities._result import Provenance
from lollms_modalities.errors import GenerationError, LollmsError, MediaError, OptionError

VERSION: Final = 1
"""Of the protocol. Two sides understand each other if theirs are equal."""

CHUNK: Final = 4 << 20
"""Bytes of payload that one frame holds at most."""

WINDOW: Final = 4
"""Chunks of one payload that may be under way without having been acknowledged."""

ITEMS: Final = 32
"""Items of one stream that may be under way without having been taken."""

HEAD: Final = struct.Struct(">II")
LARGEST_TEXT: Final = 256 << 20

# From the host.
HELLO = "hello"  # protocol, core, modality, name, directory: the first message; find the binding's class
MAKE = "make"  # settings, shared: make the binding
CALL = "call"  # name, positional, arguments, controls, progress, stream, tell, watch_memory: run a verb or method
CANCEL = "cancel"  # reason: stop the exchange
TAKEN = "taken"  # count: so many items of the stream were taken
BYE = "bye"  # close the binding and end
OPENING: Final = (HELLO, MAKE, CALL, BYE)  # those that begin an exchange

# From the worker.
READY = "ready"  # to hello: protocol, core, name, description, ...; to make: settings, capabilities
BEGIN = "begin"  # options: the call has its options, its lock and its model
PROGRESS = "progress"  # stage, done, total, unit, preview
WARNING = "warning"  # category, message: a Python warning
ITEM = "item"  # value: of a stream
RESULT = "result"  # value, provenance, memory: the end
ERROR = "error"  # error, traceback: the end

# From both.
DATA = "data"  # the next chunk of the payload of the message before it
ACK = "ack"  # one chunk was taken

_log = logging.getLogger(__name__)

Buffer = bytes | bytearray | memoryview
Json = dict[str, Any]


def encode(message: Json, payload_size: int) -> bytes:
    """The head and the text of a frame."""
    try:
        text = to_json(message, inf_nan_mode="constants")
    except ValueError:  # half a character, as names of files can hold: slower, and takes anything
        text = json.dumps(message).encode()
    return HEAD.pack(len(text), payload_size) + text


def decode(text: bytes) -> Json:
    """The message of a frame."""
    try:
        message = from_json(text)
    except ValueError:
        message = json.loads(text)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("a frame holds no message")
    return message


# --- values ---------------------------------------------------------------------------------------------------------

_TAG = "$"
_PLAIN = (str, int, float, bool, type(None))
_PLAIN_STATE = ("_known", "_pixels", "_facts", "_format", "language", "language_probability", "duration")
_TUPLES = ("_known", "_pixels", "_facts", "segments")
_MEDIA: dict[str, type[media.Audio] | type[media.Image] | type[media.Video]] = {
    "Audio": media.Audio,
    "Image": media.Image,
    "Video": media.Video,
}


def pack(value: Any, payloads: list[Buffer]) -> Any:
    """``value`` as JSON values; the bytes in it are added to ``payloads``, uncopied.

    Raises:
        OptionError: a value of a kind that cannot cross to another process.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        if not all(isinstance(k, str) for k in value):
            raise OptionError("A dict with keys that are no strings cannot be given to an isolated binding.")
        packed = {k: pack(v, payloads) for k, v in value.items()}
        return {_TAG: "dict", "items": packed} if _TAG in packed else packed
    if kind in (list, tuple, set, frozenset):
        return [pack(v, payloads) for v in value]
    for name, packer in _PACKERS:
        if isinstance(value, name):
            return packer(value, payloads)
    if hasattr(value, "get_secret_value"):
        return pack(value.get_secret_value(), payloads)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a scalar of numpy's or torch's
        return pack(value.item(), payloads)
    raise OptionError(
        f"A value of the type {kind.__module__}.{kind.__qualname__} cannot cross to another process.",
        hint="Give plain values, paths, bytes, or media.",
    )


def _pack_media(value: Any, payloads: list[Buffer]) -> Json:
    payloads.append(value)
    return {_TAG: type(value).__name__, "at": len(payloads) - 1, "state": _pack_state(value, payloads)}


def _pack_state(value: Any, payloads: list[Buffer]) -> Json:
    state: Json = {}
    for name, held in value.__dict__.items():
        if name == "_provenance":
            made = value.provenance
            state[name] = None if made is None else made.__dict__
        elif name in _PLAIN_STATE:
            state[name] = held
        else:
            try:
                state[name] = pack(held, payloads)
            except OptionError:
                _log.warning("%s.%s cannot cross to another process", type(value).__name__, name)
    return state


def _pack_bytes(value: Buffer, payloads: list[Buffer]) -> Json:
    payloads.append(value)
    return {_TAG: "bytes", "at": len(payloads) - 1}


def _pack_chunk(value: media.AudioChunk, payloads: list[Buffer]) -> Json:
    payloads.append(value.pcm)
    at = len(payloads) - 1
    return {_TAG: "AudioChunk", "at": at, "rate": value.sample_rate, "channels": value.channels, "text": value.text}


def _pack_file(value: Any, payloads: list[Buffer]) -> Json:
    data = value.read()
    if not isinstance(data, bytes):
        raise MediaError("The media is a file opened as text.", hint="Open it with mode 'rb'.")
    return _pack_bytes(data, payloads)


class _Readable(type):
    def __instancecheck__(cls, value: object) -> bool:
        return callable(getattr(value, "read", None))


class _File(metaclass=_Readable):
    """Anything that can be read."""


_Packer = Callable[[Any, list[Buffer]], Any]
_PACKERS: tuple[tuple[type, _Packer], ...] = (
    (media.Audio, _pack_media),
    (media.Image, _pack_media),
    (media.Video, _pack_media),
    (media.AudioChunk, _pack_chunk),
    (media.Transcript, lambda v, p: {_TAG: "Transcript", "text": str(v), "state": _pack_state(v, p)}),
    (media.Segment, lambda v, p: {_TAG: "Segment", **asdict(v)}),
    (Provenance, lambda v, p: {_TAG: "Provenance", "fields": v.__dict__}),
    (Path, lambda v, p: {_TAG: "path", "path": str(v)}),
    (bytes, _pack_bytes),
    (bytearray, _pack_bytes),
    (memoryview, _pack_bytes),
    (bool, lambda v, p: bool(v)),
    (str, lambda v, p: str.__str__(v)),
    (int, lambda v, p: int(v)),
    (float, lambda v, p: float(v)),
    (Mapping, lambda v, p: pack(dict(v), p)),
    (Sequence, lambda v, p: [pack(item, p) for item in v]),
    (_File, _pack_file),
)


def unpack(value: Any, payloads: Sequence[Buffer]) -> Any:
    """The value that ``pack`` made JSON values and payloads of."""
    if isinstance(value, list):
        return [unpack(v, payloads) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind is None:
        return {k: unpack(v, payloads) for k, v in value.items()}
    if kind == "dict":
        return {k: unpack(v, payloads) for k, v in value["items"].items()}
    if kind == "path":
        return Path(value["path"])
    if kind == "bytes":
        return bytes(payloads[value["at"]])
    if kind == "AudioChunk":
        return media.AudioChunk(bytes(payloads[value["at"]]), value["rate"], value["channels"], value["text"])
    if kind == "Segment":
        return _segment(value)
    if kind == "Provenance":
        return Provenance.from_json(value["fields"])
    if kind == "Transcript":
        made: Any = media.Transcript(value["text"])
    else:
        made = _MEDIA[kind](payloads[value["at"]])
    for name, held in value["state"].items():
        if name == "_provenance":
            # Most are never looked at.
            held = None if held is None else functools.partial(Provenance.from_json, held)
        elif name not in _PLAIN_STATE:
            held = unpack(held, payloads)
        made.__dict__[name] = tuple(held) if isinstance(held, list) and name in _TUPLES else held
    return made


def _segment(value: Json) -> media.Segment:
    fields = {k: v for k, v in value.items() if k != _TAG}
    fields["words"] = tuple(media.Word(**word) for word in fields["words"])
    return media.Segment(**fields)


# --- errors ---------------------------------------------------------------------------------------------------------


class RemoteTraceback(Exception):
    """The cause of an error that another process raised: the traceback that it had there, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text.rstrip()}"


def pack_error(error: BaseException, clean: Callable[[str], str]) -> Json:
    """An error as JSON values. ``clean`` takes the secrets out of its traceback."""
    text = clean("".join(traceback.format_exception(error)))
    if isinstance(error, LollmsError):
        return {"error": error.to_json(), "traceback": text}
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    said = GenerationError(clean(f"The worker failed with {name.removeprefix('builtins.')}: {error}"), remote_type=name)
    return {"error": said.to_json(), "traceback": text}


def unpack_error(message: Json) -> LollmsError:
    """The error that ``pack_error`` made JSON values of; its cause is the traceback that it had there."""
    error = LollmsError.from_json(message["error"])
    error.__cause__ = RemoteTraceback(str(message.get("traceback", "")))
    return error
