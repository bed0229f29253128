"""The bytes of a file, wherever they are, and changes to them that touch nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_COPIED = 1 << 20  # bytes at a time


class Broken(ValueError):
    """The file does not hold what its format says that it holds."""


class View:
    """Bytes to look into: those of ``bytes``, or of an open file, of which only what is asked for is read.

    Attributes:
        size: how many there are.
        is_file: whether they are those of a file.
    """

    def __init__(self, data: bytes | BinaryIO) -> None:
        self._data = data if isinstance(data, bytes) else None
        self._file: Any = None if isinstance(data, bytes) else data
        self.is_file = not isinstance(data, bytes)
        self.size = len(data) if isinstance(data, bytes) else data.seek(0, os.SEEK_END)

    def at(self, start: int, count: int) -> bytes:
        """As many bytes from there as there are, at most ``count``."""
        if start < 0 or count <= 0 or start >= self.size:
            return b""
        if self._data is not None:
            return bytes(memoryview(self._data)[start : start + count])
        self._file.seek(start)
        got: bytes = self._file.read(min(count, self.size - start))
        return got

    def whole(self, start: int, count: int) -> bytes:
        """Exactly so many bytes from there. Raises ``Broken`` where they are not all there."""
        got = self.at(start, count)
        if len(got) != count:
            raise Broken(f"{count} bytes at {start} are not there")
        return got

    def number(self, start: int, count: int, order: str = "big") -> int:
        """A number of ``count`` bytes. Raises as ``whole``."""
        return int.from_bytes(self.whole(start, count), "little" if order == "little" else "big")


class Edit(NamedTuple):
    """In the place of ``removed`` bytes from ``start`` on stands ``put``."""

    start: int
    removed: int
    put: bytes


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The bytes with the changes, each byte copied once."""
    view, at = memoryview(data), 0
    parts: list[bytes | memoryview] = []
    for edit in sorted(edits):
        parts += [view[at : edit.start], edit.put]
        at = edit.start + edit.removed
    return b"".join([*parts, view[at:]])


def edit_file(path: Path, edits: Iterable[Edit]) -> None:
    """Change a file, which stays the same file. What only grows at its end, or keeps its length, is not copied."""
    ordered = sorted(edits)
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        first = next((n for n, e in enumerate(ordered) if e.removed != len(e.put)), len(ordered))
        tail = ordered[first:]
        if all(edit.start >= size for edit in tail):
            for edit in ordered:
                file.seek(edit.start)
                file.write(edit.put)
            return
        with tempfile.TemporaryFile() as rest:
            at = tail[0].start
            for edit in tail:
                _copy(file, rest, at, edit.start - at)
                rest.write(edit.put)
                at = edit.start + edit.removed
            _copy(file, rest, at, size - at)
            for edit in ordered[:first]:
                file.seek(edit.start)
                file.write(edit.put)
            file.seek(tail[0].start)
            rest.seek(0)
            shutil.copyfileobj(rest, file, _COPIED)
            file.truncate()


def _copy(source: BinaryIO, target: Any, start: int, count: int) -> None:
    source.seek(start)
    while count > 0 and (part := source.read(min(count, _COPIED))):
        target.write(part)
        count -= len(part)


def viewed(path: Path, look: Callable[[View], Any]) -> Any:
    """What ``look`` makes of a file."""
    with path.open("rb") as file:
        return look(View(file))
