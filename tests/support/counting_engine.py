"""The engines of ``counting``. A text is a command.

``work 20`` takes 20 steps, ``pause`` waits between two, ``breaks`` fails after one, ``stages`` reports a hundred steps of
each of ``STAGES`` at once; ``fail``, ``crash``, ``quiet``, ``warn``. What is to be heard
may be ``work 20``, too.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallCancelled,
    CallOptions,
    Capabilities,
    LollmsSTTBinding,
    LollmsTTSBinding,
    MediaInput,
    Segment,
    Transcript,
    option,
    read_media,
    report_progress,
    setting,
    verb,
)
from lollms_modalities.kit import VoiceStore

RATE = 8000
STEP, PAUSE = 0.01, 1.0  # seconds
STAGES = ("read", "think", "speak")
SECRET = "/srv/models/private/voice.bin said sk-aaaaaaaaaaaaaaaaaaaaaaaa"


def note(line: str) -> None:
    """Write down a line, also from several processes at once."""
    with open(os.environ["COUNTING_LOG"], "ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


class CountingTTS(LollmsTTSBinding):
    """Does what its text says."""

    engine = "counting"
    capabilities = Capabilities(streaming=True, cloning=True, keeps_voices=True)

    class Options(CallOptions):
        loud: bool = option(False, description="Whether it is loud.")
        seed: int | None = option(None, description="Any.")
        n: int = option(1, description="How many.")
        width: int = option(1, description="How wide.")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        note(f"began {text[:40]!r} {voice}")
        words = text.split()
        if words[0] == "fail":
            raise RuntimeError(SECRET)
        if words[0] == "crash":
            os._exit(7)
        if words[0] == "quiet":
            return
        if words[0] == "warn":
            warnings.warn(f"it is {text} in /srv/models/private/", RuntimeWarning, stacklevel=2)
        if words[0] == "stages":
            for stage in STAGES:
                for step in range(101):
                    report_progress(step, 100, stage=stage, unit="step")
        steps = int(words[1]) if words[0] == "work" else 2 if words[0] in ("pause", "breaks") else 1
        seconds = float(words[2]) if words[0] == "work" and len(words) > 2 else 0.05
        try:
            for step in range(steps):
                report_progress(step, steps, unit="step")
                time.sleep(PAUSE if words[0] == "pause" and step else STEP)
                if words[0] == "breaks" and step:
                    raise RuntimeError(SECRET)
                yield AudioChunk(bytes(2 * round(seconds * RATE)), RATE, text=words[0])
        except (CallCancelled, GeneratorExit):
            note(f"cancelled {text[:40]!r}")
            raise
        note("ended")

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["one", "two", *self._kept.names()]

    @property
    def _kept(self) -> VoiceStore:
        return VoiceStore(Path(os.environ["COUNTING_LOG"] + "-voices"))

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        self._kept.add(name, recording, consent)

    def drop_voice(self, name: str) -> None:
        self._kept.remove(name)


class ChoirTTS(CountingTTS):
    """Speaks several texts at once."""

    @verb("Audio", content="texts")
    def generate_audios(self, texts: list[str], voice: str | None = None, **kwargs: Any) -> list[Audio]:
        """Each of its own length."""
        note(f"together {texts} {voice}")
        return [Audio.from_chunks(self.stream_audio(text, voice, **kwargs)) for text in texts]


class CountingSTT(LollmsSTTBinding):
    """Says what it is told, or how long its recording is in bytes."""

    engine = "counting"
    capabilities = Capabilities(streaming=True, timestamps=("segment",))

    class Settings(BindingSettings):
        default_said: str = setting("", description="What it hears.")

    class Options(CallOptions):
        said: str = option("", description="What it hears.")

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return Transcript.from_segments(self.stream_transcript(audio_path, model, **kwargs))

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        note(f"heard {len(read_media(audio_path))}")
        words = kwargs["said"].split()
        try:
            for step in range(steps := int(words[1]) if words[:1] == ["work"] else 0):
                report_progress(step, steps, unit="step")
                time.sleep(STEP)
        except CallCancelled:
            note("cancelled")
            raise
        for number, part in enumerate((kwargs["said"] or "nothing").split("|")):
            extra = {"avg_logprob": math.nan, "seek": math.inf, "more": [{"score": -math.inf}]} if part == "odd" else {}
            if extra:
                report_progress(math.nan, math.inf)
            yield Segment(part, float(number), number + 1.0, extra=extra)

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["small", "large"]
