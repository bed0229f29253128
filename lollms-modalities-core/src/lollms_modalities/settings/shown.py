"""Values as they may be shown, logged and kept with a result: JSON values, without bytes and without secrets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import PurePath
from typing import Any

_DEEPEST = 20
_LONGEST = 200  # characters of what is known by its repr only
WIDEST = 10_000  # bits of an integer that is told as one: Python makes no text of much wider ones
_TEXTS = ("datetime", "decimal", "fractions", "ipaddress", "uuid")  # modules whose values are best shown as text


def shown(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON values: bytes by their number, files by name, secrets masked, what is unknown by its repr."""
    kind = type(value)
    if value is None or kind is str or kind is bool or (kind is int and value.bit_length() <= WIDEST):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth > _DEEPEST:
        return "..."
    if hasattr(value, "get_secret_value"):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        path = getattr(value, "path", None)  # of a result that its file holds
        return f"<{size} bytes>" if size or path is None else str(path)
    if isinstance(value, Enum):
        return shown(value.value, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= WIDEST else f"<{value.bit_length()} bits>"
    if isinstance(value, PurePath):
        return str(value)
    parts = _parts(value)
    if isinstance(parts, Mapping):
        return {k if type(k) is str else _said(k, str): shown(v, depth + 1) for k, v in parts.items()}
    if parts is not None:
        return [shown(v, depth + 1) for v in parts]
    if callable(getattr(value, "read", None)):
        return f"<file {str(getattr(value, 'name', '') or kind.__name__)[:_LONGEST]!r}>"
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a scalar of numpy's or torch's
        return shown(value.item(), depth + 1)
    return _said(value, str if kind.__module__.partition(".")[0] in _TEXTS else repr)


def _said(value: Any, say: Callable[[Any], str]) -> str:
    """What it says of itself, or of what type it is where it cannot say."""
    try:
        said = say(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."


def _parts(value: Any) -> Mapping[Any, Any] | list[Any] | None:
    """What a container holds, by name or in its order; None of what is none."""
    if isinstance(value, Mapping):
        return value
    if hasattr(type(value), "model_fields"):
        return dict(iter(value))  # which has a field "keys", perhaps
    if hasattr(type(value), "__dataclass_fields__"):
        return {name: getattr(value, name, None) for name in type(value).__dataclass_fields__}
    if isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return list(value)
    return None


def secrets_in(value: Any, depth: int = 0) -> Iterator[str]:
    """The secrets that a value holds, at any depth, in the clear."""
    if hasattr(value, "get_secret_value"):
        yield from texts_of(value.get_secret_value())
    elif depth <= _DEEPEST and (parts := _parts(value)) is not None:
        for part in [*parts.keys(), *parts.values()] if isinstance(parts, Mapping) else parts:
            yield from secrets_in(part, depth + 1)


def texts_of(secret: Any) -> Iterator[str]:
    """As what a secret can stand in a text: as it is, in quotes as Python and JSON have it, in an address."""
    import json
    from urllib.parse import quote

    if isinstance(secret, bytes):
        yield repr(secret)[2:-1]
        secret = secret.decode("utf-8", "replace")
    said = str(secret)
    escaped = repr(said)[1:-1], json.dumps(said)[1:-1], quote(said, safe="", errors="replace")
    yield from dict.fromkeys((said, *escaped))


def texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts in a value, at any depth; a secret's in the clear."""
    if isinstance(value, (str, bytes)):
        yield from texts_of(value)
    elif hasattr(value, "get_secret_value"):
        yield from texts_of(value.get_secret_value())
    elif depth <= _DEEPEST and (parts := _parts(value)) is not None:
        for part in parts.values() if isinstance(parts, Mapping) else parts:
            yield from texts_in(part, depth + 1)


def veiled(value: Any) -> Any:
    """``value`` with its texts as ``SecretStr``, which shows nothing."""
    from pydantic import SecretStr

    if isinstance(value, str):
        return SecretStr(value)
    if isinstance(value, Mapping):
        return {k: veiled(v) for k, v in value.items()}
    return [veiled(v) for v in value] if isinstance(value, (list, tuple)) else value
