"""Speech of silence: a tenth of a second for each character, with the times of words or without."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Capabilities,
    Language,
    LollmsTTSBinding,
    Word,
    WordTimes,
    word_aligner,
)

RATE = 1000


class _Silent(LollmsTTSBinding):
    """One part for each sentence, in two chunks of which the first has the text."""

    engine = "silence"
    spoken = 0

    class Options(CallOptions):
        language: Language = None

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["flat"]

    def worker_pid(self) -> int:
        return os.getpid()

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        type(self).spoken += 1
        for sentence in re.findall(r"[^.]+\.?", text):
            for n, half in enumerate((sentence[: len(sentence) // 2], sentence[len(sentence) // 2 :])):
                yield AudioChunk(bytes(2 * RATE // 10 * len(half)), RATE, 1, "" if n else sentence.strip())


class EnglishTTSBinding(_Silent):
    """Tells no times, and speaks one language."""

    capabilities = Capabilities(streaming=True, languages=("en-US",))


class UnknownTTSBinding(_Silent):
    """Tells no times, and not what it speaks."""

    capabilities = Capabilities(streaming=True)


class WholeTTSBinding(_Silent):
    """Cannot stream."""

    stream_audio = LollmsTTSBinding.stream_audio

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(bytes(2 * RATE // 10 * len(text)), RATE)


class KnowingTTSBinding(_Silent):
    """Knows when it says each word, which it tells without the marks around it, and when each character."""

    capabilities = Capabilities(streaming=True, timestamps=("word",))

    class Options(CallOptions):
        timestamps: WordTimes = "none"

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        done = 0
        for chunk in super().stream_audio(text, voice):
            size = len(chunk.pcm) // (2 * RATE // 10)
            words = [
                Word(m[0], (m.start() - done) / 10, (m.end() - done) / 10)
                for m in re.finditer(r"\w+", text)
                if done <= m.start() < done + size
            ]
            done += size
            yield replace(chunk, words=tuple(words)) if kwargs["timestamps"] == "word" else chunk


class PartlyTTSBinding(KnowingTTSBinding):
    """Knows the times of one voice; of another it says before the work that it does not, of a third it finds out."""

    capabilities = Capabilities(streaming=True, timestamps=("word",), languages=("pt",))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["flat", "mute", "untold", "late"]

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        if voice == "mute" and kwargs["timestamps"] == "word":
            word_aligner("fr" if text.startswith("Oui") else "pt-PT")
        if voice == "late":
            yield from super().stream_audio("What comes first.", voice, timestamps="word")
            word_aligner("pt")
        times = "none" if voice in ("mute", "untold", "late") else kwargs["timestamps"]
        yield from super().stream_audio(text, voice, timestamps=times)
