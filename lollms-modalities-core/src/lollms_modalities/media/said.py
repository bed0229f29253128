"""What was said and when: words, and stretches of speech."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Attributes:
        text: the word, with the space before it where the engine gives one.
        start, end: seconds from the beginning of the recording.
        probability: from 0 to 1, or None where the engine does not tell.
        speaker: who says it, where that was asked for, else None.
    """

    text: str
    start: float
    end: float
    probability: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, mostly a sentence or a part of one.

    Attributes:
        text: what was said.
        start, end: seconds from the beginning of the recording.
        words: with their times where they were asked for.
        probability: from 0 to 1, or None.
        language: language tag, or None.
        extra: what else the engine tells; JSON values.
        speaker: who says it, where that was asked for, else None.
        final: False for what may still change while it is being said.
        id: the same for a segment and for what takes its place later; None where nothing does.
    """

    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()
    probability: float | None = None
    language: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    speaker: str | None = None
    final: bool = True
    id: str | None = None
