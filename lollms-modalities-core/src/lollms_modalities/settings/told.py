"""Values of fields that take anything, as they are on both sides of a process's border.

What crosses is told as plain values (``workers.values``). So that an engine gets the same in place, what would arrive
as something plainer is made so there, too.
"""

from __future__ import annotations

from collections import UserString
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from lollms_modalities.media.chunk import AudioChunk
from lollms_modalities.media.result import Provenance
from lollms_modalities.media.said import Segment, Word

_OURS = (AudioChunk, Segment, Word, Provenance)
_PLAIN = (str, int, float, bool, type(None), bytes, bytearray)
_CONTAINERS = (dict, list, tuple, set, frozenset, Mapping, Sequence, Set)


def as_told(value: Any) -> Any:
    """``value`` as another process would get it.

    Tuples, sets, paths, secrets, dates, decimals and our media stay what they are. An enum's member is its value, a
    model or dataclass a dict, a scalar of numpy's a number, what is derived from a plain type that type; views of
    memory are bytes. What cannot cross, or is a file, stays.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {as_told(k): as_told(v) for k, v in value.items()}
    if kind in (list, tuple):
        return kind(as_told(v) for v in value)
    if kind in (set, frozenset):
        parts = [as_told(v) for v in value]
        return kind(parts) if hashable(parts) else parts
    plain = plainer(value)
    return value if plain is value else as_told(plain)


def plainer(value: Any) -> Any:
    """What stands for a value that is told as something plainer; the value itself where it is not."""
    from lollms_modalities import media

    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (media.Audio, media.Image, media.Video, media.Transcript, *_OURS)):
        return value
    if isinstance(value, PurePath):
        return value if isinstance(value, Path) else Path(value)
    if isinstance(value, memoryview):
        return value.tobytes()
    plain: Any
    for plain in (bytes, bytearray, bool, int, float, dict, list, tuple, set, frozenset):
        if isinstance(value, plain):
            return value if type(value) is plain else plain(value)
    if isinstance(value, (str, UserString)):
        return str.__str__(value) if isinstance(value, str) else value.data
    for kind, made in ((Mapping, dict), (Sequence, list), (Set, set)):
        if isinstance(value, kind):
            return made(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a scalar of numpy's or torch's
        return value.item()
    if isinstance(value, BaseModel):
        return value.model_dump()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return value


def hashable(parts: list[Any]) -> bool:
    """Whether a set can be made of them."""
    try:
        return frozenset(parts) is not None
    except TypeError:
        return False


@cache
def loose_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Names of the fields that take anything, themselves or in what they hold."""
    return tuple(name for name, field in model.model_fields.items() if _takes_anything(field.annotation))


def _takes_anything(annotation: Any) -> bool:
    if annotation is Any or annotation is object:
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return False
    if origin is Annotated:
        return _takes_anything(parts[0])
    return annotation in _CONTAINERS or any(_takes_anything(part) for part in parts)
