"""Segments and words from what servers tell of them: some times are null, and some words lie outside every segment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from lollms_modalities import Segment, Word


def read_segments(text: str, segments: Any, words: Any, duration: float) -> list[Segment]:
    """The segments of an answer, each with its words; of one that has words alone, one segment with all of them.

    Args:
        text: the whole.
        segments, words: rows with ``text`` or ``word``, ``start`` and ``end``, as they came. Where there are no words,
            those that the segments hold are taken.
        duration: of the recording, in seconds.
    """
    if not words:
        words = [word for row in _list(segments) if isinstance(row, dict) for word in _list(row.get("words"))]
    found = [Segment(said.strip(), start, end) for said, start, end in _timed(segments, "text", duration)]
    heard = [Word(said, start, end) for said, start, end in _timed(words, "word", duration)]
    if not found:
        return [Segment(text, heard[0].start, heard[-1].end, tuple(heard))] if heard else []
    own: list[list[Word]] = [[] for _ in found]
    for word in heard:
        own[min(range(len(found)), key=lambda n: _distance(word, found[n]))].append(word)
    return [replace(segment, words=tuple(words)) for segment, words in zip(found, own, strict=True)]


def _distance(word: Word, segment: Segment) -> float:
    """Seconds from the word's middle to the segment; 0 inside it."""
    middle = (word.start + word.end) / 2
    return max(0.0, segment.start - middle, middle - segment.end)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _timed(rows: Any, key: str, duration: float) -> Iterator[tuple[str, float, float]]:
    """Texts with their times; what is not told is taken from what is before and after."""
    kept = [row for row in _list(rows) if isinstance(row, dict)]
    kept = [{**row, key: row.get(key, row.get("text"))} for row in kept]  # some call a word "text"
    kept = [row for row in kept if isinstance(row[key], str)]
    starts, ends = ([_seconds(row.get(name)) for row in kept] for name in ("start", "end"))
    before = 0.0
    for number, row in enumerate(kept):
        start, end = starts[number], ends[number]
        if start is None:
            start = before if end is None else min(before, end)
        if end is None:
            end = _first(starts[number + 1 :], duration)
        end = max(start, end)
        yield row[key], start, end
        before = end


def _first(times: Iterable[float | None], otherwise: float) -> float:
    return next((time for time in times if time is not None), otherwise)


def _seconds(value: Any) -> float | None:
    """A time; None where there is none."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)  # of some servers a number is a text
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
