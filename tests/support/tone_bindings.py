"""Transcription of tones: each is a word by its pitch. Hears what a person would, and is quick."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from lollms_modalities import (
    BindingSettings,
    CallOptions,
    Capabilities,
    LollmsSTTBinding,
    MediaInput,
    Segment,
    Timestamps,
    Transcript,
    Word,
    current_call,
    report_progress,
    setting,
)
from lollms_modalities.contract.voices import Loudness
from lollms_modalities.kit import decode_audio

PITCHES = {"do": 523, "re": 587, "mi": 659, "fa": 698, "so": 784, "la": 880, "ti": 988, "die": 1175}
RATE = 16000
WINDOW = 320  # samples, 20 ms


class ToneSTTBinding(LollmsSTTBinding):
    """Writes down which tones are played, each as a word."""

    engine = "numpy"
    capabilities = Capabilities(timestamps=("segment", "word"))

    class Settings(BindingSettings):
        wait_for: Path | None = setting(None, description="A file without which nothing is heard.")
        default_spelling: str = setting("small", description="Of the words.")

    class Options(CallOptions):
        timestamps: Timestamps = "segment"
        spelling: str = "small"

    settings: Settings

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[float] = []  # seconds of each recording
        self.on_asked: Any = None

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        samples = decode_audio(audio_path, RATE)
        report_progress(0, len(samples) / RATE, unit="s")
        self.asked.append(len(samples) / RATE)
        if self.on_asked is not None:
            self.on_asked()
        while (gate := self.settings.wait_for) is not None and not gate.exists():
            current_call().check()
            time.sleep(0.005)
        current_call().record(model=model or "tones", usage={"seconds": 1})
        words = [Word(f" {w.upper() if kwargs['spelling'] == 'large' else w}", a, b, 0.5) for w, a, b in heard(samples)]
        if any(word.text.strip() == "die" for word in words):
            os._exit(7)
        report_progress(len(samples) / RATE, len(samples) / RATE, unit="s")
        text = "".join(word.text for word in words).strip()
        if not words:
            return Transcript("")
        kept = tuple(words) if kwargs["timestamps"] == "word" else ()
        return Transcript.from_segments([Segment(text, words[0].start, words[-1].end, kept)], language="en")

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["tones"]

    def load_model(self) -> object:
        return object()

    def voice_activity(self) -> Loudness:
        return Loudness()

    def worker_pid(self) -> int:
        """Where it runs."""
        return os.getpid()


class ManyTonesSTTBinding(ToneSTTBinding):
    """The same for two calls at once."""

    concurrency = 2


def heard(samples: np.ndarray) -> list[tuple[str, float, float]]:
    """The tones of at least 60 ms, with the times of their beginnings and ends."""
    found: list[tuple[str, float, float]] = []
    run, began = "", 0
    for n in range(len(samples) // WINDOW + 1):
        window = samples[n * WINDOW : (n + 1) * WINDOW]
        name = _pitch(window) if len(window) == WINDOW else ""
        if name != run:
            if run and n - began >= 3:
                found.append((run, began * WINDOW / RATE, n * WINDOW / RATE))
            run, began = name, n
    return found


def _pitch(window: np.ndarray) -> str:
    if float(np.sqrt(np.mean(np.square(window)))) < 0.03:
        return ""
    spectrum = np.abs(np.fft.rfft(window * np.hanning(len(window)), 4096))
    peak = spectrum.argmax() * RATE / 4096
    return min(PITCHES, key=lambda name: abs(PITCHES[name] - peak))


def tune(text: str, rate: int = RATE) -> np.ndarray:
    """The sound of a text: words of 0.2 s; "." is a pause of 0.6 s. float32, shape (n,)."""
    parts = [silence(0.3, rate)]
    for word in text.split():
        if word == ".":
            parts.append(silence(0.6, rate))
        else:
            time_ = np.arange(int(rate * 0.2)) / rate
            parts += [0.4 * np.sin(2 * np.pi * PITCHES[word] * time_), silence(0.06, rate)]
    return np.concatenate(parts).astype(np.float32)


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    """Nearly: what a quiet room gives."""
    return 1e-4 * np.random.default_rng(1).standard_normal(int(rate * seconds))
