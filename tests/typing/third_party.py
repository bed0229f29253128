"""A third party's binding, checked by strict mypy: it uses the public API only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Capabilities,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    Seed,
    SharedModel,
    Speed,
    option,
    read_media,
    report_progress,
    setting,
    verb,
)
from lollms_modalities.media.image import Image
from pydantic import SecretStr


class Beeper:
    """An engine."""

    def beep(self, count: int, pitch: float) -> npt.NDArray[np.float64]:
        return np.asarray(np.sin(np.arange(count) * pitch), np.float64)


class BeepTTSBinding(LollmsTTSBinding):
    """Beeps once for each word."""

    engine = "numpy"
    capabilities = Capabilities(streaming=True, seed=True)

    class Settings(BindingSettings):
        default_voice: str = setting("low", description="Voice.")
        pitch: float = setting(0.05, description="Pitch.", gt=0, reload=True)
        api_key: SecretStr = setting(SecretStr(""), description="Key.")

    class Options(CallOptions):
        speed: Speed = 1.0
        seed: Seed = None
        speaker: MediaInput | None = option(None, description="Recording to imitate.")

    settings: Settings

    def load_model(self) -> SharedModel[Beeper]:
        return SharedModel(key=("beeper", self.settings.pitch), load=Beeper)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        options = self.Options(**kwargs)
        engine: Beeper = self.model
        if options.speaker is not None:
            print(len(read_media(options.speaker)))
        words = text.split()
        for done, word in enumerate(words, 1):
            samples = engine.beep(round(800 / options.speed), self.settings.pitch)
            yield AudioChunk.from_samples(samples, 8000, word)
            report_progress(done, len(words), unit="word")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["low", "high"]


class DotTTIBinding(LollmsTTIBinding):
    """Draws a square."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return Image.from_pixels(np.zeros((height, width, 3), np.uint8))

    @verb("Image", content="prompt")
    def generate_images(self, prompt: str, n: int = 1, **kwargs: Any) -> list[Image]:
        return [self.generate_image(prompt) for _ in range(n)]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return [{"name": "dot", "caption": "Dot", "help": ""}]
