"""Bindings whose results are marked in tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from lollms_marks import Mark, put
from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Image,
    LollmsTTIBinding,
    LollmsTTSBinding,
    Seed,
    option,
    setting,
    verb,
)
from marked_files import file_of
from PIL import Image as Pillow


class Speaks(LollmsTTSBinding):
    """Says the same each time."""

    engine = "pluggy"  # one that is installed, so that it has a version

    class Settings(BindingSettings):
        model_name: str = setting("/home/me/private/voices/joe.onnx", description="The model.")
        secret_place: str = setting("in the cellar", description="Nobody's affair.")

    class Options(CallOptions):
        seed: Seed = -1
        mood: str = option("cheerful-option", description="How it is said.")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0\2\0" * 4000, 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for _ in range(3):
            yield AudioChunk(b"\1\0\2\0" * 2000, 8000, text=text)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Draws(LollmsTTIBinding):
    """Draws red squares, and gives what it is given."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return Image(put(file_of("jpeg"), Mark(id="theirs"))) if prompt == "marked" else Image(file_of("png"))

    @verb("Image", content="images")
    def edit_images(self, images: Any, prompt: str = "", **kwargs: Any) -> Image:
        return Image.from_pil(Image(images[0]).to_pil().rotate(90))

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


def gif() -> Audio:
    """Something that no format of ours holds."""
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(buffer, "GIF")
    return Audio(buffer.getvalue())


class Odd(Speaks):
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return gif()

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        yield from super().stream_audio(text)
