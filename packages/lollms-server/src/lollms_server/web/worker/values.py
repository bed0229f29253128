"""What crosses between a session and the engine room: arguments as bytes and plain values, results without files.

Of the many kinds of values that two processes of one user tell each other, a client may send a few: none that names a
file, and none that costs more to make than to send.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lollms_modalities import AudioChunk, OptionError, Progress, Provenance, wire

from lollms_server.web.errors import masked
from lollms_server.web.v2.values import masked_values

_TAG = "$"
_DEEPEST = 32
_BYTES = ("bytes", "bytearray", "Audio", "Image", "Video")
_LISTS = ("tuple", "set", "frozenset")
Payload = bytes | Path


def argument(value: Any, payloads: Sequence[Payload], name: str, depth: int = 0) -> Any:
    """A value that a client sent. Bytes are where they were put: in memory or in a file of ours.

    Raises:
        OptionError: of a kind that is not for those who ask over a server.
    """
    if depth > _DEEPEST:
        raise OptionError(f"{name!r} is nested too deeply.", names=[name])
    if isinstance(value, list):
        return [argument(held, payloads, name, depth + 1) for held in value]
    if isinstance(value, str) and not value.isascii():
        check_text(value, name)
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind is None:
        return {key: argument(held, payloads, name, depth + 1) for key, held in value.items()}
    if kind in _BYTES:
        at = value.get("at")
        if type(at) is not int or not 0 <= at < len(payloads):
            raise OptionError(f"{name!r} names bytes that were not sent.", names=[name])
        return payloads[at]
    held = value.get("items")
    if kind in _LISTS and isinstance(held, list):
        return argument(held, payloads, name, depth)
    if kind == "dict" and isinstance(held, dict):
        return {key: argument(part, payloads, name, depth + 1) for key, part in held.items()}
    if kind == "secret":
        return argument(value.get("of"), payloads, name, depth + 1)
    if kind == "Transcript" and isinstance(value.get("text"), str):
        return value["text"]
    if kind == "path":
        raise OptionError(
            f"{name!r} is a path, and names nothing on the server's machine.",
            hint="Give the file's content, as bytes.",
            names=[name],
        )
    raise OptionError(f"{name!r} is of a kind that a server does not take: {kind!r:.40}.", names=[name])


def check_text(text: str, name: str) -> None:
    """Refuse half of a pair of surrogates, which JSON can say and no file can hold.

    Raises:
        OptionError: there is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise OptionError(
            f"{name!r} holds a lone surrogate at position {exc.start}, which is no character.", names=[name]
        ) from None


def has_bytes(value: Any) -> bool:
    """Whether there are bytes in it, which only media may have."""
    if isinstance(value, (bytes, Path)):
        return True
    if isinstance(value, dict):
        return any(has_bytes(held) for held in value.values())
    return isinstance(value, list) and any(has_bytes(held) for held in value)


def chunk(value: Any, payloads: Sequence[Payload]) -> AudioChunk:
    """A piece of sound of a stream into a call. Whoever takes it looks at its numbers.

    Raises:
        OptionError: it is none.
    """
    pcm = argument(value | {_TAG: "bytes"}, payloads, "frames") if isinstance(value, dict) else None
    if not isinstance(pcm, bytes) or value.get(_TAG) != "AudioChunk":
        raise OptionError("An item of the stream is no AudioChunk.", names=["frames"])
    return AudioChunk(pcm, value.get("rate"), value.get("channels"))


def result(value: Any, payloads: list[wire.Buffer], minor: int) -> Any:
    """What a call gave, as JSON values and payloads: without the server's files, settings and folders.

    May read files.
    """
    packed = _cleaned(wire.pack(wire.without_files(value), payloads))
    return packed if minor >= 3 else wire.untyped(packed)


def _cleaned(packed: Any) -> Any:
    if isinstance(packed, list):
        return [_cleaned(part) for part in packed]
    if not isinstance(packed, dict):
        return packed
    if packed.get(_TAG) == "path":
        return masked(str(packed.get("path")))
    return {
        key: provenance(Provenance.from_json(held)) if key == "_provenance" and held is not None else _cleaned(held)
        for key, held in packed.items()
    }


def provenance(made: Provenance | None) -> Any:
    """How something was made, as JSON values, without the server's settings and folders."""
    return None if made is None else masked_values(made.to_json() | {"settings": {}})


def report(progress: Progress, payloads: list[wire.Buffer], minor: int) -> Any:
    """How far a call is."""
    return result([*progress], payloads, minor)


def is_large(value: Any) -> bool:
    """Whether packing it is not for the event loop: it reads a file, or there is much of it."""
    if isinstance(value, (list, tuple)):
        return bool(value)
    return getattr(value, "path", None) is not None or (isinstance(value, str) and len(value) > 10_000)
