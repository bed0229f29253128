"""The limits of a field's value, where its type has some and the field its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen

# Whether the greater of two is the narrower.
_LIMITS: dict[type, tuple[str, bool]] = {
    Ge: ("ge", True), Gt: ("gt", True), MinLen: ("min_length", True),
    Le: ("le", False), Lt: ("lt", False), MaxLen: ("max_length", False),
}  # fmt: skip


def narrowest(metadata: Iterable[Any]) -> list[Any]:
    """What pydantic keeps of a field beside its type, with one limit of each kind, the narrowest."""
    kept: list[Any] = []
    for mark in _marks(metadata):
        before = next((n for n, other in enumerate(kept) if type(mark) in _LIMITS and type(other) is type(mark)), None)
        if before is None:
            kept.append(mark)
        elif _narrower(mark, kept[before]):
            kept[before] = mark
    return kept


def _marks(metadata: Iterable[Any]) -> Iterator[Any]:
    for mark in metadata:
        if isinstance(mark, GroupedMetadata) and type(mark).__module__.startswith("annotated_types"):
            yield from mark
        else:
            yield mark


def _narrower(one: Any, other: Any) -> bool:
    name, greater = _LIMITS[type(one)]
    mine, its = getattr(one, name), getattr(other, name)
    return bool(mine > its if greater else mine < its)
