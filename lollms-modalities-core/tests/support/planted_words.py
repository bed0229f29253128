"""Planted faults: the times of spoken words, and the language of a translation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lollms_examples.stt import LoudnessSTTBinding
from lollms_examples.tts import ToneTTSBinding
from lollms_modalities import Audio, AudioChunk, Capabilities, MediaInput, Segment, Transcript, option


class Spoken(ToneTTSBinding):
    """Speaks as it should; a base of faults."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        before = 0.0
        for chunk in super().stream_audio(text, voice, **kwargs):
            yield self.told(chunk, before)
            before += chunk.duration

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return chunk


class TellsTimesOfTheWhole(Spoken):
    """Counts the words of a part from the beginning of the whole."""

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=tuple(replace(w, start=w.start + before, end=w.end + before) for w in chunk.words))


class TellsSpokenMilliseconds(Spoken):
    """Gives times in milliseconds."""

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=tuple(replace(w, end=1000 * w.end) for w in chunk.words))


class TellsNoSpokenWords(Spoken):
    """Declares times of words and tells none."""

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=())


class TellsWordsUnasked(Spoken):
    """Tells words whoever asks."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield from super().stream_audio(text, voice, **{**kwargs, "timestamps": "word"})


class TellsFewerWordsInStreams(Spoken):
    """Has words in the whole only."""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(ToneTTSBinding.stream_audio(self, text, voice, **kwargs))

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=()) if before else chunk


class DeclaresNoWords(ToneTTSBinding):
    """Tells times of words, and does not say that it does."""

    capabilities = Capabilities(streaming=True)


class LeavesWordsToOthers(Spoken):
    """Knows no times, as it should; a base of faults."""

    capabilities = Capabilities(streaming=True)

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=())


class TellsItsFirstTextAlone(LeavesWordsToOthers):
    """Says of the first part what it speaks, and of no other."""

    def told(self, chunk: AudioChunk, before: float) -> AudioChunk:
        return replace(chunk, words=(), text="" if before else chunk.text)


class CallsItsEnglishFrench(LoudnessSTTBinding):
    """Tells the language of the speech for that of its translation."""

    class Options(LoudnessSTTBinding.Options):
        translate: bool = option(False, description="Give the text in English.")

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        kwargs.pop("translate", None)
        return Transcript.from_segments(self.stream_transcript(audio_path, model, **kwargs), language="fr")

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        kwargs.pop("translate", None)
        yield from super().stream_transcript(audio_path, model, **kwargs)
