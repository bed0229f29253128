"""What was said, with its times, and the subtitle formats that players read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from lollms_modalities.media.result import Result, check_folder, suffix_format, write_whole

_SUFFIXES = {".txt": "txt", ".srt": "srt", ".vtt": "vtt", ".json": "json"}
_SHORTEST = 0.001  # seconds; players drop a cue that ends when it begins


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


class Transcript(Result, str):
    """What was said: the text itself, as a ``str``.

    Attributes:
        segments: with their times; empty where the engine gives none.
        language: language tag of the speech, or None.
        language_probability: how sure that is, from 0 to 1, or None.
        duration: of the recording, in seconds, or None.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float | None
    duration: float | None

    def __new__(
        cls,
        text: str = "",
        *,
        segments: Iterable[Segment] = (),
        language: str | None = None,
        language_probability: float | None = None,
        duration: float | None = None,
    ) -> Self:
        self = super().__new__(cls, text)
        self.segments = tuple(segments)
        self.language = language
        self.language_probability = language_probability
        self.duration = duration
        return self

    @classmethod
    def from_segments(
        cls,
        segments: Iterable[Segment],
        *,
        language: str | None = None,
        language_probability: float | None = None,
        duration: float | None = None,
    ) -> Self:
        """The whole of the segments; the text is theirs, joined. Takes the provenance of a stream."""
        kept = tuple(segments)
        self = cls(
            " ".join(filter(None, (s.text.strip() for s in kept))),
            segments=kept,
            language=language or next((s.language for s in kept if s.language), None),
            language_probability=language_probability,
            duration=duration,
        )
        self._provenance = getattr(segments, "provenance", None)
        return self

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments; empty where they were not asked for."""
        return tuple(word for segment in self.segments for word in segment.words)

    def as_segments(self) -> tuple[Segment, ...]:
        """The segments; where the engine gave none, one with the whole text. Empty where nothing was said."""
        if self.segments or not self.strip():
            return self.segments
        return (Segment(str(self).strip(), 0.0, self.duration or 0.0),)

    def to_srt(self) -> str:
        """SubRip subtitles. Blank lines inside a segment are dropped, since they would end it."""
        cues = enumerate(self._cues(), 1)
        return "\n".join(f"{n}\n{_clock(a, ',')} --> {_clock(b, ',')}\n{_srt_text(text)}\n" for n, (a, b, text) in cues)

    def to_vtt(self) -> str:
        """WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""
        cues = (f"{_clock(a, '.')} --> {_clock(b, '.')}\n{_vtt_text(text)}\n" for a, b, text in self._cues())
        return "WEBVTT\n\n" + "\n".join(cues)

    def to_dict(self) -> dict[str, Any]:
        """Text, language, duration, segments and words as JSON values.

        ``speaker``, ``final`` and ``id`` are there where they say something.
        """
        return {
            "text": str(self),
            "language": self.language,
            "language_probability": self.language_probability,
            "duration": self.duration,
            "segments": [_segment_json(segment) for segment in self.segments],
        }

    def save(self, path: str | Path) -> Path:
        """Write the file; ``.txt``, ``.srt``, ``.vtt`` or ``.json`` decides what goes into it. Gives its path.

        Raises:
            OptionError: another suffix, or a folder that does not exist.
        """
        target = check_folder(Path(path))
        kind = suffix_format(target, _SUFFIXES)
        if kind == "srt":
            text = self.to_srt()
        elif kind == "vtt":
            text = self.to_vtt()
        elif kind == "json":
            text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"
        else:
            text = str(self) + "\n"
        return write_whole(target, text.encode())

    def _cues(self) -> list[tuple[float, float, str]]:
        spoken = [(max(0.0, s.start), s.end, text) for s in self.as_segments() if (text := s.text.strip())]
        # Players want cues in the order of their beginnings.
        # Rounded first, so that the shortest cue does not vanish when it is written in milliseconds.
        return sorted((round(a, 3), max(round(b, 3), round(a, 3) + _SHORTEST), text) for a, b, text in spoken)


# What says nothing is left out, so that the rest reads as it always has.
_UNTOLD: dict[str, Any] = {"speaker": None, "final": True, "id": None}


def _segment_json(segment: Segment) -> dict[str, Any]:
    told = _told(asdict(segment))
    return told | {"words": [_told(word) for word in told["words"]]}


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _UNTOLD or value != _UNTOLD[name]}


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _srt_text(text: str) -> str:
    # A line with an arrow would be read as times.
    return "\n".join(re.sub("-{2,}>", "->", line) for line in _lines(text))


def _vtt_text(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "\n".join(_lines(escaped))
