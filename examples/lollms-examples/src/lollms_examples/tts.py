"""Speech, or nearly: a tone for each word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Capabilities,
    LollmsTTSBinding,
    Speed,
    VoiceNotFoundError,
    Word,
    WordTimes,
    report_progress,
    setting,
)

RATE = 8000
PITCHES = {"low": 110.0, "high": 440.0}  # Hz


class ToneTTSBinding(LollmsTTSBinding):
    """Plays a tone for each word of a text."""

    engine = "numpy"
    capabilities = Capabilities(streaming=True, timestamps=("word",))

    class Settings(BindingSettings):
        default_voice: str = setting("low", description="Voice to use when none is named.")
        loudness: float = setting(0.5, description="From 0 to 1.", ge=0, le=1)

    class Options(CallOptions):
        speed: Speed = 1.0
        timestamps: WordTimes = "none"

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        options = self.Options(**kwargs)
        if voice not in PITCHES:
            raise VoiceNotFoundError(f"There is no voice {voice!r:.60}.", hint=f"Known ones: {', '.join(PITCHES)}.")
        words = text.split()
        for done, word in enumerate(words):
            report_progress(done, len(words), unit="word")
            seconds = np.arange(round(0.05 * RATE * (1 + len(word)) / options.speed)) / RATE
            tone = np.sin(2 * np.pi * PITCHES[voice] * (1 + len(word) / 12) * seconds)
            times = (Word(word, 0.0, len(tone) / RATE),) if options.timestamps == "word" else ()
            yield AudioChunk.from_samples(self.settings.loudness * tone, RATE, word, times)
        report_progress(len(words), len(words), unit="word")

    def list_voices(self, **kwargs: Any) -> list[str]:
        return list(PITCHES)
