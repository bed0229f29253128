"""Values that cross between two processes: as JSON values, with the bytes in them beside, and made again from these."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Secret, SecretBytes, SecretStr

from lollms_modalities import media
from lollms_modalities.errors import MediaError, OptionError
from lollms_modalities.media.result import Provenance
from lollms_modalities.settings.shown import WIDEST, shown
from lollms_modalities.settings.told import hashable, plainer
from lollms_modalities.workers.protocol import Buffer, Json

_log = logging.getLogger(__name__)

_TAG = "$"
_T = TypeVar("_T")


def _microseconds(value: datetime.timedelta) -> str:
    return str(value // datetime.timedelta(microseconds=1))


def _offset(value: datetime.timezone) -> str:
    return _microseconds(value.utcoffset(None))


def _timezone(text: str) -> datetime.timezone:
    return datetime.timezone(datetime.timedelta(microseconds=int(text)))


def _expression(value: re.Pattern[Any]) -> str:
    pattern, of_bytes = value.pattern, isinstance(value.pattern, bytes)
    return json.dumps([pattern.decode("latin-1") if of_bytes else pattern, value.flags, of_bytes])


def _pattern(text: str) -> re.Pattern[Any]:
    pattern, flags, of_bytes = json.loads(text)
    return re.compile(pattern.encode("latin-1") if of_bytes else pattern, flags)


_ADDRESSES: tuple[type[Any], ...] = (
    ipaddress.IPv4Interface, ipaddress.IPv6Interface, ipaddress.IPv4Address, ipaddress.IPv6Address,
    ipaddress.IPv4Network, ipaddress.IPv6Network,
)  # fmt: skip


_COLLECTIONS: dict[str, type] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_PLAIN = (str, int, float, bool, type(None))
_STR, _NESTED = frozenset({str}), frozenset({dict, list})
_PLAIN_STATE = ("_known", "_pixels", "_facts", "_sound", "_format", "language", "language_probability", "duration")
_TUPLES = ("_known", "_pixels", "_facts", "_sound", "segments", "words")
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
    try:
        return _pack(value, payloads)
    except RecursionError:
        raise OptionError(
            "A value that holds itself, or is nested too deeply, cannot cross to another process."
        ) from None


def _pack(value: Any, payloads: list[Buffer]) -> Any:
    kind = type(value)
    if kind in _PLAIN and (kind is not int or value.bit_length() <= WIDEST):
        return value
    if kind is dict:
        if not _STR.issuperset(map(type, value)) and not all(isinstance(k, str) for k in value):
            return {_TAG: "pairs", "items": [[_pack(k, payloads), _pack(v, payloads)] for k, v in value.items()]}
        packed = {k: _pack(v, payloads) for k, v in value.items()}
        return {_TAG: "dict", "items": packed} if _TAG in packed else packed
    if kind is list:
        return [_pack(v, payloads) for v in value]
    if kind in (tuple, set, frozenset):
        return {_TAG: kind.__name__, "items": [_pack(v, payloads) for v in value]}
    for name, packer in _PACKERS:
        if isinstance(value, name):
            return packer(value, payloads)
    plain = plainer(value)
    if plain is not value:
        return _pack(plain, payloads)
    if (of := _value_name(value)) is not None:
        try:
            return {_TAG: "value", "of": of, "text": _VALUES[of][1](value)}
        except ValueError as exc:
            raise OptionError(f"A value of the type {of} cannot cross to another process: {exc}.") from exc
    if hasattr(value, "get_secret_value"):
        return {_TAG: "secret", "of": _pack(value.get_secret_value(), payloads)}
    if callable(getattr(value, "read", None)):
        return _pack_file(value, payloads)
    raise OptionError(
        f"A value of the type {kind.__module__}.{kind.__qualname__} cannot cross to another process.",
        hint="Give plain values, paths, bytes, or media.",
    )


# What is one value, and has a text from which it can be made again.
_VALUES: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "decimal": (Decimal, str, Decimal),
    "fraction": (Fraction, str, Fraction),
    "complex": (complex, str, complex),
    "uuid": (UUID, str, UUID),
    **{kind.__name__: (kind, str, kind) for kind in _ADDRESSES},
    "pattern": (re.Pattern, _expression, _pattern),
    "datetime": (datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    "date": (datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    "time": (datetime.time, lambda v: v.isoformat(), datetime.time.fromisoformat),
    "timedelta": (datetime.timedelta, _microseconds, lambda text: datetime.timedelta(microseconds=int(text))),
    "timezone": (datetime.timezone, _offset, _timezone),
    "zone": (ZoneInfo, str, ZoneInfo),
    "integer": (int, hex, functools.partial(int, base=16)),  # a wide one, of which Python makes no decimal text
}


def _value_name(value: Any) -> str | None:
    return next((name for name, (kind, _, _) in _VALUES.items() if isinstance(value, kind)), None)


def _pack_media(value: Any, payloads: list[Buffer]) -> Json:
    payloads.append(value)
    kind = type(value).__name__
    if _MEDIA.get(kind) is not type(value):
        kind = next(name for name, cls in _MEDIA.items() if isinstance(value, cls))
    return {_TAG: kind, "at": len(payloads) - 1, "state": _pack_state(value, payloads)}


def _pack_state(value: Any, payloads: list[Buffer]) -> Json:
    state: Json = {}
    for name, held in value.__dict__.items():
        if name == "_provenance":
            made = value.provenance
            state[name] = None if made is None else told_provenance(made)
        elif name in _PLAIN_STATE:
            state[name] = held
        else:
            try:
                state[name] = pack(held, payloads)
            except OptionError:
                _log.warning("%s.%s cannot cross to another process", type(value).__name__, name)
    return state


def told_provenance(made: Provenance) -> Json:
    """A provenance as JSON values, also where its engine has recorded what is none."""
    told = made.to_json()
    for name in ("usage", "extra"):
        if told[name]:
            told[name] = shown(told[name])
    return told


def _pack_bytes(value: Buffer, payloads: list[Buffer]) -> Json:
    if isinstance(value, memoryview) and not value.c_contiguous:
        value = value.tobytes()  # every second byte of something can't be sent as it is
    payloads.append(value)
    return {_TAG: "bytes", "at": len(payloads) - 1}


def _pack_chunk(value: media.AudioChunk, payloads: list[Buffer]) -> Json:
    payloads.append(value.pcm)
    at = len(payloads) - 1
    packed = {_TAG: "AudioChunk", "at": at, "rate": value.sample_rate, "channels": value.channels, "text": value.text}
    return packed | {"words": [asdict(word) for word in value.words]} if value.words else packed


def _told(value: media.Segment | media.Word) -> Json:
    """The fields that say something: others would be unknown to an older end that lacks them."""
    told = asdict(value)
    return {f.name: told[f.name] for f in fields(value) if f.name in _ALWAYS or told[f.name] != f.default}


def _pack_file(value: Any, payloads: list[Buffer]) -> Json:
    try:
        data = value.read()
    except Exception as exc:
        raise OptionError(f"What cannot be read cannot cross to another process: {type(exc).__name__}: {exc}.") from exc
    if not isinstance(data, bytes):
        raise MediaError("The media is a file opened as text.", hint="Open it with mode 'rb'.")
    return _pack_bytes(data, payloads)


# What ends of the first version ask for.
_ALWAYS = ("text", "start", "end", "words", "probability", "language", "extra")
_Packer = Callable[[Any, list[Buffer]], Any]
_PACKERS: tuple[tuple[type, _Packer], ...] = (
    (media.Audio, _pack_media),
    (media.Image, _pack_media),
    (media.Video, _pack_media),
    (media.AudioChunk, _pack_chunk),
    (media.Transcript, lambda v, p: {_TAG: "Transcript", "text": str(v), "state": _pack_state(v, p)}),
    (media.Segment, lambda v, p: {_TAG: "Segment", **_told(v), "words": [_told(word) for word in v.words]}),
    (media.Word, lambda v, p: {_TAG: "Word", **_told(v)}),
    (Provenance, lambda v, p: {_TAG: "Provenance", "fields": told_provenance(v)}),
    (PurePath, lambda v, p: {_TAG: "path", "path": str(v)}),
    (bytearray, lambda v, p: {**_pack_bytes(v, p), _TAG: "bytearray"}),
    (bytes, _pack_bytes),
    (memoryview, _pack_bytes),
)


def media_in(packed: Any) -> Iterator[tuple[int, type[bytes]]]:
    """Of what ``pack`` made, the payloads that will be media: their numbers and classes."""
    if isinstance(packed, dict):
        if (kind := _MEDIA.get(str(packed.get(_TAG)))) is not None:
            yield packed["at"], kind
        packed = list(packed.values())
    for part in packed if isinstance(packed, list) else ():
        yield from media_in(part)


def unpack(value: Any, payloads: Sequence[Buffer]) -> Any:
    """The value that ``pack`` made JSON values and payloads of."""
    if isinstance(value, list):
        return [unpack(v, payloads) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind is None:
        return {k: unpack(v, payloads) if type(v) in _NESTED else v for k, v in value.items()}
    if kind == "dict":
        return {k: unpack(v, payloads) for k, v in value["items"].items()}
    if kind == "pairs":
        return {_hashable(unpack(k, payloads)): unpack(v, payloads) for k, v in value["items"]}
    if kind == "value":
        return _VALUES[value["of"]][2](value["text"])
    if kind in _COLLECTIONS:
        parts = [unpack(v, payloads) for v in value["items"]]
        return _COLLECTIONS[kind](parts) if kind == "tuple" or hashable(parts) else parts
    if kind == "secret":
        return _secret(unpack(value["of"], payloads))
    if kind == "path":
        return Path(value["path"])
    if kind == "bytearray":
        return bytearray(payloads[value["at"]])
    if kind == "bytes":
        return bytes(payloads[value["at"]])
    if kind == "AudioChunk":
        words = tuple(_known(media.Word, word) for word in value.get("words", ()))
        return media.AudioChunk(bytes(payloads[value["at"]]), value["rate"], value["channels"], value["text"], words)
    if kind == "Segment":
        return _segment(value)
    if kind == "Word":
        return _known(media.Word, value)
    if kind == "Provenance":
        return Provenance.from_json(value["fields"])
    if kind == "Transcript":
        made: Any = media.Transcript(value["text"])
    else:
        data = payloads[value["at"]]
        made = data if type(data) is _MEDIA[kind] else _MEDIA[kind](data)
    for name, held in value["state"].items():
        if name == "_provenance":
            # Most are never looked at.
            held = None if held is None else functools.partial(Provenance.from_json, held)
        elif name not in _PLAIN_STATE:
            held = unpack(held, payloads)
        made.__dict__[name] = tuple(held) if isinstance(held, list) and name in _TUPLES else held
    return made


def untyped(value: Any) -> Any:
    """What ``pack`` made, for an end of before minor 3, which knows neither tuples, sets, secrets nor bytearrays."""
    if isinstance(value, list):
        return [untyped(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TAG)
    if kind == "dict":
        return {_TAG: kind, "items": {k: untyped(v) for k, v in value["items"].items()}}
    if kind in _COLLECTIONS:
        return untyped(value["items"])
    if kind == "secret":
        return untyped(value["of"])
    return {**{k: untyped(v) for k, v in value.items()}, **({_TAG: "bytes"} if kind == "bytearray" else {})}


def _secret(inner: Any) -> Any:
    return (SecretStr if isinstance(inner, str) else SecretBytes if isinstance(inner, bytes) else Secret[Any])(inner)


def _hashable(key: Any) -> Any:
    return tuple(_hashable(part) for part in key) if isinstance(key, list) else key


def _segment(value: Json) -> media.Segment:
    return _known(media.Segment, {**value, "words": tuple(_known(media.Word, word) for word in value["words"])})


def _known(cls: type[_T], value: Json) -> _T:
    """The object with the fields that both ends know; of others, which a newer end added, there is nothing here."""
    return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})  # type: ignore[arg-type]
