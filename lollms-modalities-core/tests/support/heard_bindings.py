"""Transcription of a script: a word for each half second, of those that decode the recording and those that do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lollms_modalities import (
    CallOptions,
    Capabilities,
    Diarize,
    LollmsSTTBinding,
    MediaInput,
    Segment,
    Timestamps,
    Track,
    Transcript,
    Word,
    option,
)
from lollms_modalities.kit import decode_audio

SCRIPT = ("Who is there? Nobody.", "Then go home now. I will not.")


class _Script(LollmsSTTBinding):
    """Two segments of four and seven words."""

    engine = "script"
    calls = 0
    told: Any = None

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["script"]

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return Transcript.from_segments(self.stream_transcript(audio_path, model, **kwargs))

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        type(self).calls += 1
        type(self).told = kwargs
        self._hear(audio_path, kwargs)
        at = 0.0
        for text in SCRIPT:
            words = [f" {word}" for word in text.split()]
            timed = tuple(Word(word, at + n / 2, at + n / 2 + 0.5) for n, word in enumerate(words))
            words_too = kwargs.get("timestamps") == "word"
            yield Segment(text, at, timed[-1].end, timed if words_too else ())
            at = timed[-1].end

    def _hear(self, audio: MediaInput, options: Any) -> None:
        pass


class WordsSTTBinding(_Script):
    """Decodes the recording, and can tell the times of words."""

    capabilities = Capabilities(streaming=True, timestamps=("segment", "word"))

    class Options(CallOptions):
        timestamps: Timestamps = "segment"
        track: Track = None
        rate: int = option(16000, description="Samples per second that it hears.")

    def _hear(self, audio: MediaInput, options: Any) -> None:
        decode_audio(audio, options["rate"], track=options["track"])


class SegmentsSTTBinding(_Script):
    """Tells the times of segments, and has no option for it."""

    capabilities = Capabilities(streaming=True, timestamps=("segment",))


class KnowingSTTBinding(_Script):
    """Its engine tells speakers apart itself."""

    class Options(CallOptions):
        diarize: Diarize = False
