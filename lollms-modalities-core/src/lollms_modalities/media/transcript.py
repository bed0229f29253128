"""What was said, with its times, and the subtitle formats that players read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from lollms_modalities.media.files import expanded
from lollms_modalities.media.result import Result, check_folder, suffix_format, write_whole
from lollms_modalities.media.said import Segment as Segment
from lollms_modalities.media.said import Word as Word

_SUFFIXES = {".txt": "txt", ".srt": "srt", ".vtt": "vtt", ".tsv": "tsv", ".json": "json"}


class Transcript(Result, str):
    """What was said: the text itself, as a ``str``.

    Attributes:
        segments: with their times; empty where the engine gives none.
        language: language tag of the speech, or None.
        text_language: language tag of the text: that of the speech, unless it was translated.
        language_probability: how sure that is, from 0 to 1, or None.
        duration: of the recording, in seconds, or None.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float | None
    duration: float | None
    _text_language: str | None = None

    def __new__(
        cls,
        text: str = "",
        *,
        segments: Iterable[Segment] = (),
        language: str | None = None,
        language_probability: float | None = None,
        duration: float | None = None,
        text_language: str | None = None,
    ) -> Self:
        self = super().__new__(cls, text)
        self.segments = tuple(segments)
        self.language = language
        self.language_probability = language_probability
        self.duration = duration
        if text_language is not None:
            self._text_language = text_language
        return self

    @classmethod
    def from_segments(
        cls,
        segments: Iterable[Segment],
        *,
        language: str | None = None,
        language_probability: float | None = None,
        duration: float | None = None,
        text_language: str | None = None,
    ) -> Self:
        """The whole of the segments; the text is theirs, joined. Takes the provenance of a stream."""
        kept = tuple(segments)
        self = cls(
            " ".join(filter(None, (s.text.strip() for s in kept))),
            segments=kept,
            language=language or next((s.language for s in kept if s.language), None),
            language_probability=language_probability,
            duration=duration,
            text_language=text_language,
        )
        self._provenance = getattr(segments, "provenance", None)
        return self

    @property
    def text_language(self) -> str | None:
        """Language tag of the text, which is "en" where speech was translated into English."""
        return self._text_language or self.language

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments; empty where they were not asked for."""
        return tuple(word for segment in self.segments for word in segment.words)

    def as_segments(self) -> tuple[Segment, ...]:
        """The segments; where the engine gave none, one with the whole text. Empty where nothing was said."""
        if self.segments or not self.strip():
            return self.segments
        return (Segment(str(self).strip(), 0.0, self.duration or 0.0),)

    def to_srt(self, max_chars: int | None = 42, max_lines: int | None = 2, max_seconds: float | None = 7.0) -> str:
        """SubRip subtitles, as they can be shown: a cue for each segment, and several for one that does not fit.

        Cues are cut behind sentences, behind clauses, else between words; they never overlap. Another speaker begins
        another cue, with the name before its text, as in ``[Anna]``. Where a segment does not tell the times of its
        words, they share its time by their characters. An arrow ``-->`` in a text is ``->``, since players would read
        times there, and brackets in a name are round.

        Args:
            max_chars: characters of a line; None for no limit. A longer word is cut.
            max_lines: lines of a cue; None for no limit. Line breaks of a segment's own stay where they fit.
            max_seconds: how long a cue is shown; None for no limit.

        Raises:
            OptionError: a limit that leaves nothing to be shown.
        """
        from lollms_modalities.media.subtitles import limits_of, to_srt

        return to_srt(self.as_segments(), limits_of(max_chars, max_lines, max_seconds))

    def to_vtt(self, max_chars: int | None = 42, max_lines: int | None = 2, max_seconds: float | None = 7.0) -> str:
        """WebVTT subtitles (https://www.w3.org/TR/webvtt1/), as ``to_srt``; a speaker is the voice of a cue."""
        from lollms_modalities.media.subtitles import limits_of, to_vtt

        return to_vtt(self.as_segments(), limits_of(max_chars, max_lines, max_seconds))

    def to_tsv(self, max_chars: int | None = 42, max_lines: int | None = 2, max_seconds: float | None = 7.0) -> str:
        """A table with tabs between its columns: start and end in milliseconds, the speaker if any is known, the text.

        The rows are the cues of ``to_srt``; with None for each limit they are the segments.
        """
        from lollms_modalities.media.subtitles import limits_of, to_tsv

        return to_tsv(self.as_segments(), limits_of(max_chars, max_lines, max_seconds))

    def to_dict(self) -> dict[str, Any]:
        """Text, language, duration, segments and words as JSON values.

        ``speaker``, ``final`` and ``id`` are there where they say something.
        """
        return {
            "text": str(self),
            "language": self.language,
            "text_language": self.text_language,
            "language_probability": self.language_probability,
            "duration": self.duration,
            "segments": [_segment_json(segment) for segment in self.segments],
        }

    def save(self, path: str | Path) -> Path:
        """Write the file; ``.txt``, ``.srt``, ``.vtt``, ``.tsv`` or ``.json`` decides what goes into it.

        Returns:
            The file's path.

        Raises:
            OptionError: another suffix, or a folder that does not exist.
            PluginRefused: a plug-in wants no such file.
        """
        from lollms_modalities.media.encoded import EncodedText, told

        target = check_folder(expanded(Path(path)))
        kind = suffix_format(target, _SUFFIXES)
        if kind == "srt":
            text = self.to_srt()
        elif kind == "vtt":
            text = self.to_vtt()
        elif kind == "tsv":
            text = self.to_tsv()
        elif kind == "json":
            text = json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n"
        else:
            text = str(self) + "\n"
        return write_whole(target, told(EncodedText(text.encode(), kind or "txt", self.provenance), target=target))


# What says nothing is left out, so that the rest reads as it always has.
_UNTOLD: dict[str, Any] = {"speaker": None, "final": True, "id": None}


def _segment_json(segment: Segment) -> dict[str, Any]:
    told = _told(asdict(segment))
    return told | {"words": [_told(word) for word in told["words"]]}


def _told(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _UNTOLD or value != _UNTOLD[name]}
