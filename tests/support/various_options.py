"""A third party's binding with an option of every kind, which writes down what it was given: for forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from counting_engine import note
from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Capabilities,
    LollmsTTSBinding,
    MediaInput,
    option,
    read_media,
)
from pydantic import SecretStr

HOSTILE = '<img src=x onerror="document.title=1"> \u202ereversed\u2066 </script>'


class VariousTTS(LollmsTTSBinding):
    """Takes anything."""

    engine = "various"
    capabilities = Capabilities(streaming=True)

    class Options(CallOptions):
        warmth: float = option(0.5, ge=0, le=1, description="How warm.")
        rounds: int = option(3, ge=1, description="How often.")
        budget: int | None = option(None, description="How much at most.")
        bright: bool = option(False, description="Whether it is bright.")
        maybe: bool | None = option(None, description="Whether, or not, or as it likes.")
        mood: Literal["calm", "merry"] = option("calm", description="How it feels.")
        accent: Literal["soft", "hard"] | None = option(None, description="How it sounds.")
        style: str = option("", description=HOSTILE)
        words: list[str] = option((), description="What it is to stress.")
        weights: list[float] | None = option(None, description="How much of each.")
        extra: dict[str, int] | None = option(None, description="Whatever else.")
        secret: SecretStr | None = option(None, description="What nobody is to see.")
        sample: MediaInput | None = option(None, description="A recording.")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        given = {name: kwargs[name] for name in self.Options.model_fields if name in kwargs}
        if given["secret"] is not None:
            given["secret"] = given["secret"].get_secret_value()
        if given["sample"] is not None:
            given["sample"] = len(read_media(given["sample"]))
        note(f"given {json.dumps(given, default=list)}")
        yield AudioChunk(bytes(16000), 8000, text=text[:200])

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["plain", HOSTILE]
