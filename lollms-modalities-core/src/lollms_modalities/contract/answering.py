"""What a plug-in answers a stream with, in the engine's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lollms_modalities import hooks
from lollms_modalities.calls.call import Call

_T = TypeVar("_T")
END: Any = object()


class Answered(Iterator[_T]):
    """A plug-in's iterator, with the item that has been taken from it put back. What it runs is no engine's code."""

    def __init__(self, call: Call, first: _T, items: Iterator[_T]) -> None:
        self._call = call
        self._first = first
        self._items = items

    def __next__(self) -> _T:
        item, self._first = self._first, END
        if item is not END:
            return item
        item = hooks.told(self._call, next, self._items, END)
        if item is END:
            raise StopIteration
        return item

    def close(self) -> None:
        """End what it iterates over."""
        close: Callable[[], object] | None = getattr(self._items, "close", None)
        if close is not None:
            hooks.told(self._call, close)
