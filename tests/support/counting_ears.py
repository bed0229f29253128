"""An engine that listens live by itself: it says how much it has heard, chunk by chunk, whatever that is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal

from counting_engine import SECRET, note
from lollms_modalities import (
    BindingSettings,
    CallCancelled,
    CallOptions,
    Capabilities,
    LollmsSTTBinding,
    MediaInput,
    Segment,
    Transcript,
    current_call,
    option,
    setting,
)


class CountingEars(LollmsSTTBinding):
    """``said`` is put before what it says; ``fail`` fails, ``long`` makes its texts long, ``hold`` takes no more sound."""

    engine = "counting"
    capabilities = Capabilities(streaming=True, languages=("en", "fr"))

    class Settings(BindingSettings):
        default_said: str = setting("", description="What it hears where nothing else is said.")

    class Options(CallOptions):
        language: Literal["en", "fr"] | None = option(None, description="What is spoken.")
        initial_prompt: str | None = option(None, description="What was said before.")
        said: str = option("", description="What it hears.")

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return Transcript("a recording")

    def transcribe_live(self, frames: Any, model: str | None = None, **kwargs: Any) -> Iterator[Segment]:  # type: ignore[override]
        said, seconds = kwargs["said"], 0.0
        note(f"began {model}")
        try:
            for chunk in frames:
                seconds += chunk.duration
                if said == "fail":
                    raise RuntimeError(SECRET)
                while said == "hold":
                    current_call().check()
                    time.sleep(0.01)
                text = f"{said} {seconds:.2f} s".strip() + ("x" * 1_000_000 if said == "long" else "")
                yield Segment(text, 0.0, seconds, language=kwargs["language"], final=False, id="1")
            yield Segment(f"{said} {seconds:.2f} s".strip(), 0.0, seconds, language=kwargs["language"], id="1")
        except (CallCancelled, GeneratorExit):
            note(f"cancelled {said}".strip())
            raise
        note(f"ended {seconds:.2f}")

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["small", "large"]
