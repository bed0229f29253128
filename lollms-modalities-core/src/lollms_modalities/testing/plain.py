"""Whether values are Python's own: what a library's number looks like is not JSON, and pickles with its library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

_PLAIN = (str, int, float, bool, bytes, type(None))


def strangers(value: Any, where: str) -> Iterator[str]:
    """Where in a value of ours something lies that is no plain Python, with its type."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from strangers(getattr(value, field.name), f"{where}.{field.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strangers(key, f"a key of {where}")
            yield from strangers(item, f"{where}[{key!r}]")
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name in value._fields:
            yield from strangers(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from strangers(item, f"an item of {where}")
    elif type(value) not in _PLAIN and not isinstance(value, Path):
        own = type(value).__mro__[0].__module__.startswith("lollms_modalities.")
        if not (own and isinstance(value, _PLAIN)):
            yield f"{where}: {type(value).__module__}.{type(value).__qualname__}"
