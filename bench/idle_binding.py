"""A binding that does as little as can be done: what is measured is all that is around it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    CallOptions,
    Image,
    LollmsSTTBinding,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    Transcript,
    current_call,
)

RESULT = Audio.from_pcm(bytes(2), 16000)
LARGE = Audio.from_pcm(bytes(10_000_000), 16000)
CHUNK = AudioChunk(bytes(640), 16000)


class IdleTTSBinding(LollmsTTSBinding):
    """Does nothing, much of nothing, or works for a while."""

    class Options(CallOptions):
        large: bool = False
        work: int = 0
        wait: float = 0.0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        total = 0
        for n in range(kwargs["work"]):
            total += n * n
        until = time.monotonic() + kwargs["wait"]
        while kwargs["wait"] and time.monotonic() < until:
            current_call().check()
            time.sleep(0.001)
        return LARGE if kwargs["large"] else RESULT

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for _ in range(1000):
            yield CHUNK

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class ManyTTSBinding(IdleTTSBinding):
    """Does nothing for many at once."""

    concurrency = 64


class IdleSTTBinding(LollmsSTTBinding):
    """Hears nothing, and says so."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        return Transcript("nothing")

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


class IdleTTIBinding(LollmsTTIBinding):
    """Gives a small image that was made before."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return _picture()

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


@cache
def _picture() -> Image:
    from PIL import Image as Pillow

    return Image.from_pil(Pillow.new("RGB", (8, 8)), "png")


def install(folder: Path) -> Path:
    """The binding as a distribution in ``folder``."""
    folder.joinpath("idle_binding.py").write_text(Path(__file__).read_text("utf-8"), "utf-8")
    info = folder / "idle-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: idle\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lollms_client.tts_bindings]\nidle = idle_binding:IdleTTSBinding\nmany = idle_binding:ManyTTSBinding\n"
        "[lollms_client.stt_bindings]\nstill = idle_binding:IdleSTTBinding\n"
        "[lollms_client.tti_bindings]\nstill = idle_binding:IdleTTIBinding\n"
    )
    return folder
