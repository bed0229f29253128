"""Transcription, or nearly: how loud it is, half second by half second."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
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
        if model is not None and model not in MODELS:
            raise ModelNotFoundError(f"There is no model {model!r:.60}.", hint=f"Known ones: {', '.join(MODELS)}.")
        samples = decode_audio(audio_path, RATE)
        duration = len(samples) / RATE
        for start in range(0, len(samples), WINDOW):
            report_progress(start / RATE, duration, unit="s")
            window = samples[start : start + WINDOW]
            loud = float(np.sqrt(np.mean(np.square(window)))) > kwargs["threshold"]
            yield Segment("loud" if loud else "quiet", start / RATE, (start + len(window)) / RATE)
        report_progress(duration, duration, unit="s")

    def list_models(self, **kwargs: Any) -> list[str]:
        return list(MODELS)
