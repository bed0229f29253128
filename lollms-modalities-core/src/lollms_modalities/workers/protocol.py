"""What the host and a worker say to each other: frames and messages. ``docs/protocol.md`` explains it.

A frame is eight bytes (two unsigned 32-bit lengths, big endian), a JSON object, and a payload of raw bytes. The
object's ``type`` names the message, its ``id`` the exchange that it belongs to. Nothing is pickled: ``values`` and
``remote_errors`` make JSON values of what the messages hold.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

from pydantic_core import from_json, to_json

from lollms_modalities.errors import OptionError

VERSION: Final = 1
"""Of the protocol. Two sides understand each other if theirs are equal."""

MINOR: Final = 3
"""What a side knows beyond the first protocol of that version; the lower one counts.

1: streams into a worker. 2: the host's aligner. 3: tuples, sets, secrets and bytearrays as what they are; the
arguments of a stream are checked before its first item."""

TYPED: Final = 3
"""The minor version since which values keep their types, and a call can be checked alone."""

PROTOCOL_VERSION: Final = f"{VERSION}.{MINOR}"
"""Both, as text."""

CHUNK: Final = 4 << 20
"""Bytes of payload that one frame holds at most."""

WINDOW: Final = 4
"""Chunks of one payload that may be under way without having been acknowledged."""

ITEMS: Final = 32
"""Items of one stream that may be under way without having been taken."""

ITEMS_IN: Final = 16
"""The same of a stream into a worker: a caller's microphone should not be far ahead of the engine."""

HEAD: Final = struct.Struct(">II")
LARGEST_TEXT: Final = 256 << 20
LARGEST_FIRST: Final = 16 << 20
"""Bytes of text of the first frame: what comes may be from somebody else."""

# From the host.
HELLO = "hello"  # protocol, minor, core, modality, name, directory: the first message; find the binding's class
MAKE = "make"  # settings, shared: make the binding
CALL = "call"  # name, positional, arguments, controls, progress, stream, input, tell, watch_memory: run a method
CANCEL = "cancel"  # reason: stop the exchange
BYE = "bye"  # close the binding and end
PULSE = (
    "pulse"  # nothing: it is there. Of no exchange, as its number 0 says, and so ignored by sides that do not know it
)
OPENING: Final = (HELLO, MAKE, CALL, BYE)  # those that begin an exchange

# From the worker.
READY = "ready"  # to hello: protocol, minor, core, name, description, ...; to make: settings, capabilities
BEGIN = "begin"  # options: the call has its options, its lock and its model
PROGRESS = "progress"  # stage, done, total, unit, preview
WARNING = "warning"  # category, message: a Python warning
ALIGN = "align"  # text, language: whether the host finds the words of what the call speaks
RESULT = "result"  # value, provenance, memory: the end
ERROR = "error"  # error, traceback: the end

# From the host again: the answer.
ALIGNER = "aligner"  # distribution, version: it does, in what comes from now on; or error

# From both.
DATA = "data"  # the next chunk of the payload of the message before it
ACK = "ack"  # one chunk was taken
ITEM = "item"  # value: of the stream that a call gives, or of the one that it takes
TAKEN = "taken"  # count: so many items of the stream were taken

# From the host again, since the worker's streams end with a result or an error.
END = "end"  # error, traceback: of the stream into a call, with what its source raised

ENDS: Final = (RESULT, ERROR, READY)
"""Those that end an exchange."""

# What must be there, so that whoever takes a message in may rely on it.
_FIELDS: Final = {
    CALL: ("name", "arguments"), TAKEN: ("count",), BEGIN: ("options",), PROGRESS: ("report",),
    WARNING: ("category", "message"), ITEM: ("value",), ALIGN: ("text",), RESULT: ("value",), ERROR: ("error",),
}  # fmt: skip

_INT: Final = frozenset({int})
Buffer = bytes | bytearray | memoryview
Json = dict[str, Any]


def encode(message: Json, payload_size: int) -> bytes:
    """The head and the text of a frame."""
    try:
        text = to_json(message, inf_nan_mode="constants")
    except ValueError:  # half a character, as names of files can hold: slower
        try:
            text = json.dumps(message).encode()
        except (TypeError, ValueError) as exc:
            raise OptionError(f"What is no JSON value cannot cross to another process: {exc}.") from exc
    if len(text) > LARGEST_TEXT:
        raise OptionError(
            f"What is to be told to another process holds {len(text)} bytes of text; it may be {LARGEST_TEXT}.",
            hint="Give large data as bytes, or as a file.",
        )
    return HEAD.pack(len(text), payload_size) + text


def decode(text: bytes) -> Json:
    """The message of a frame."""
    try:
        message = from_json(text)
    except ValueError:
        message = json.loads(text)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str) or "id" not in message:
        raise ValueError("a frame holds no message")
    for name in _FIELDS.get(message["type"], ()):
        if name not in message:
            raise ValueError(f"a message {message['type']!r} lacks {name!r}")
    if type(message["id"]) is not int:
        raise ValueError(f"{message['id']!r} is no number of an exchange")
    if "sizes" in message and not _are_counts(message["sizes"]):
        raise ValueError("the sizes of payloads are not told as numbers")
    if message["type"] == TAKEN and not _are_counts([message["count"]]):
        raise ValueError("the items taken are not told as a number")
    return message


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and _INT.issuperset(map(type, value)) and min(value, default=0) >= 0
