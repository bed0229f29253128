"""Transcription, or nearly: how loud it is, half second by half second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from lollms_modalities import (
    CallOptions,
    Capabilities,
    LollmsSTTBinding,
    MediaInput,
    ModelNotFoundError,
    Segment,
    Transcript,
    option,
    report_progress,
)
from lollms_modalities.kit import decode_audio

RATE = 16000
WINDOW = RATE // 2
MODELS = ("loudness",)


class LoudnessSTTBinding(LollmsSTTBinding):
    """Writes down how loud a recording is, for each half second."""

    engine = "numpy"
    capabilities = Capabilities(streaming=True, timestamps=("segment",))

    class Options(CallOptions):
        threshold: float = option(0.05, description="Above this it is loud; full scale is 1.", gt=0, le=1)

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return Transcript.from_segments(self.stream_transcript(audio_path, model, **kwargs))

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        _check(model)
        samples = decode_audio(audio_path, RATE)
        duration = len(samples) / RATE
        for start in range(0, len(samples), WINDOW):
            report_progress(start / RATE, duration, unit="s")
            window = samples[start : start + WINDOW]
            yield Segment(_name(window, kwargs["threshold"]), start / RATE, (start + len(window)) / RATE)
        report_progress(duration, duration, unit="s")

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:
        # For an engine that listens by itself. One that takes recordings leaves this out, and has it from the core.
        _check(model)
        number, start, window = 0, 0.0, np.zeros(0, np.float32)
        for chunk in frames:  # an iterator of AudioChunk, whatever the caller gave
            report_progress(start, unit="s")  # of how many seconds nobody knows
            sound = chunk.samples.reshape(-1, chunk.channels).mean(axis=1) / 32768
            window = np.concatenate([window, sound.astype(np.float32)])
            size = chunk.sample_rate // 2
            while len(window) >= size:
                yield _told(window[:size], number, start, 0.5, kwargs["threshold"], final=True)
                number, start, window = number + 1, start + 0.5, window[size:]
            if len(window):
                length = len(window) / chunk.sample_rate
                yield _told(window, number, start, length, kwargs["threshold"], final=False)
        if len(window):
            yield _told(window, number, start, length, kwargs["threshold"], final=True)

    def list_models(self, **kwargs: Any) -> list[str]:
        return list(MODELS)


def _check(model: str | None) -> None:
    if model is not None and model not in MODELS:
        raise ModelNotFoundError(f"There is no model {model!r:.60}.", hint=f"Known ones: {', '.join(MODELS)}.")


def _name(window: npt.NDArray[np.float32], threshold: float) -> str:
    return "loud" if float(np.sqrt(np.mean(np.square(window)))) > threshold else "quiet"


def _told(
    window: npt.NDArray[np.float32], number: int, start: float, length: float, threshold: float, *, final: bool
) -> Segment:
    """A half second, or what is known of it: what has the same id takes its place."""
    return Segment(_name(window, threshold), start, start + length, final=final, id=str(number))
