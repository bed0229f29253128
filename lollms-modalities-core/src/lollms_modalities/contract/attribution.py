"""Which of the turns of a conversation each word of a transcript belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from lollms_modalities.media.segments import divided

if TYPE_CHECKING:
    from lollms_modalities.contract.providers import Turn
    from lollms_modalities.media.said import Segment, Word

_ENDS = tuple(".!?…。！？")
# Engines are wrong by so much about when the first and the last word of a sentence are said. What one says alone in the
# sentence of another is longer, or a sentence of its own.
_SHORT = 0.5  # seconds
_SENTENCE = 3  # words


def spoken_by(segment: Segment, turns: Sequence[Turn]) -> list[Segment]:
    """The segment with its speaker, cut between words where that changes.

    Args:
        segment: its words, where it has any, in their order.
        turns: in their order; where there are none nobody is told.
    """
    if not turns:
        return [segment]
    if not segment.words:
        return [replace(segment, speaker=_longest(segment, turns) or _nearest(segment, turns))]
    words = [word for sentence in _sentences(segment.words) for word in _attributed(sentence, turns)]
    groups = [list(group) for _, group in groupby(words, key=lambda word: word.speaker)]
    return [replace(part, speaker=part.words[0].speaker) for part in divided(segment, groups)]


def _sentences(words: Sequence[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if word.text.rstrip("\"'”’»)] ").endswith(_ENDS):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _attributed(sentence: list[Word], turns: Sequence[Turn]) -> list[Word]:
    """The words of a sentence, each with its speaker. Where nobody speaks a word goes with those around it."""
    said = [_longest(word, turns) for word in sentence]
    for n in range(1, len(said)):
        said[n] = said[n] or said[n - 1]
    for n in reversed(range(len(said) - 1)):
        said[n] = said[n] or said[n + 1]
    if len(sentence) >= _SENTENCE:
        for edge, inner in ((0, 1), (-1, -2)):
            if said[edge] != said[inner] and sentence[edge].end - sentence[edge].start < _SHORT:
                said[edge] = said[inner]
    return [replace(w, speaker=who or _nearest(w, turns)) for w, who in zip(sentence, said, strict=True)]


def _longest(of: Word | Segment, turns: Sequence[Turn]) -> str | None:
    """Who speaks longest meanwhile."""
    shares: dict[str, float] = {}
    for turn in turns:
        overlap = min(of.end, turn.end) - max(of.start, turn.start)
        if overlap > 0:
            shares[turn.speaker] = shares.get(turn.speaker, 0.0) + overlap
    return max(shares, key=lambda speaker: shares[speaker]) if shares else None


def _nearest(of: Word | Segment, turns: Sequence[Turn]) -> str:
    return min(turns, key=lambda turn: max(turn.start - of.end, of.start - turn.end)).speaker
