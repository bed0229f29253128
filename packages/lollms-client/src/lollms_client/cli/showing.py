"""Live text: line by line for programs and files, and on a terminal the line that is being said as it changes."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from types import TracebackType
from typing import Protocol, Self

from lollms_modalities.media.transcript import Segment, Transcript


class Shown(Protocol):
    """Where segments are shown, in a ``with`` statement."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, segment: Segment) -> None:
        """Show one, in the place of that of its id."""


class Lines:
    """A line for each final segment; as JSON, for each segment. Nothing where the whole comes at the end."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def show(self, segment: Segment) -> None:
        """See ``Shown``."""
        if self._kind == "json":
            (told,) = Transcript.from_segments([segment]).to_dict()["segments"]
            told |= {"id": segment.id, "final": segment.final}
            print(json.dumps(told, ensure_ascii=False), flush=True)
        elif self._kind == "text" and segment.final and segment.text:
            print(" ".join(segment.text.split()), flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class Terminal(Lines):
    """As lines, and below the last one what is being said, as far as it fits."""

    def __init__(self) -> None:
        super().__init__("text")
        self._dirty = False

    def show(self, segment: Segment) -> None:
        """See ``Shown``."""
        self._clean()
        if segment.final:
            super().show(segment)
            return
        sys.stdout.write(fitting(printable(segment.text), shutil.get_terminal_size().columns - 1))
        sys.stdout.flush()
        self._dirty = True

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clean()
        sys.stdout.flush()

    def _clean(self) -> None:
        if self._dirty:
            sys.stdout.write("\r\x1b[K")
            self._dirty = False


def printable(text: str) -> str:
    """On one line, without characters that a terminal would obey."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "" for c in text).split())


def fitting(text: str, columns: int) -> str:
    """The end of a text that fits into so many columns; "..." before it where it is not all."""
    if sum(map(_wide, text)) <= columns:
        return text
    room, start = columns - 3, len(text)
    while start and room - _wide(text[start - 1]) >= 0:
        start -= 1
        room -= _wide(text[start])
    return "..."[: max(0, columns)] + text[start:]


def _wide(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
