"""Segments as every caller may rely on them, whatever an engine gives: numbers, in order, inside the recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lollms_modalities.media.said import Segment, Word

LONG_PAUSE = 5.0  # seconds; a subtitle that stays for a longer silence belongs to what is said before or after it


def tidied(segments: Iterable[Segment], duration: float | None, times: str | None) -> list[Segment]:
    """The segments in the order of their beginnings, with times that are possible.

    A segment that holds a long pause is cut there, if its words are known.

    Args:
        segments: as the engine gives them.
        duration: of the recording, in seconds; None where it is not known.
        times: "none", "segment" or "word", as they were asked for; None where that could not be asked.
    """
    if times == "none":
        return []
    found = [part for segment in segments for part in _cut(possible(segment, duration))]
    if times == "segment":
        found = [replace(segment, words=()) if segment.words else segment for segment in found]
    return sorted(found, key=lambda segment: segment.start)


def possible(segment: Segment, duration: float | None) -> Segment:
    """A segment with times that are possible, and numbers that are Python's."""
    last = math.inf if duration is None else max(0.0, float(duration))
    start, end = _within(segment.start, segment.end, 0.0, last)
    words = tuple(_words(segment.words, last))
    if words:
        start, end = min(start, words[0].start), max(end, max(word.end for word in words))
    return replace(
        segment, start=start, end=end, words=words, probability=_plain(segment.probability),
        extra={name: _plain(value) for name, value in segment.extra.items()},
    )  # fmt: skip


def _words(words: Iterable[Word], last: float) -> Iterator[Word]:
    first = 0.0
    for word in words:
        start, end = _within(word.start, word.end, first, last)
        first = start
        yield replace(word, start=start, end=end, probability=_plain(word.probability))


def _within(start: Any, end: Any, first: float, last: float) -> tuple[float, float]:
    begins = min(max(_seconds(start, first), first), last)
    return begins, min(max(_seconds(end, begins), begins), last)


def _seconds(time: Any, else_: float) -> float:
    """``time`` as a number, where it is one: engines give None or NaN for what they do not know."""
    return float(time) if time is not None and math.isfinite(time) else else_


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's, also within lists and dicts."""
    if isinstance(value, dict):
        return {name: _plain(held) for name, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "ndim", 0) == 0 else value


def _cut(segment: Segment) -> list[Segment]:
    groups: list[list[Word]] = []
    for word in segment.words:
        if not groups or word.start - groups[-1][-1].end > LONG_PAUSE:
            groups.append([])
        groups[-1].append(word)
    if not groups:
        return [segment]
    if len(groups) == 1:
        ((first, *_),) = groups
        last = groups[0][-1]
        start = first.start if first.start - segment.start > LONG_PAUSE else segment.start
        end = last.end if segment.end - last.end > LONG_PAUSE else segment.end
        return [replace(segment, start=start, end=end)]
    return divided(segment, groups)


def divided(segment: Segment, groups: Sequence[Sequence[Word]]) -> list[Segment]:
    """A segment for each group of its words; the segment itself, with those words, where there is one group."""
    if len(groups) == 1:
        return [replace(segment, words=tuple(groups[0]))]
    between = "" if _joined(segment.words, "") == segment.text.strip() else " "
    return [
        replace(
            segment, text=_joined(group, between), start=group[0].start, end=max(word.end for word in group),
            words=tuple(group), id=segment.id and f"{segment.id}.{n}",
        )
        for n, group in enumerate(groups)
    ]  # fmt: skip


def _joined(words: Iterable[Word], between: str) -> str:
    return between.join(word.text.strip() if between else word.text for word in words).strip()
