"""Bindings that tell what they were given. Installed by the tests where only the worker finds them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    EditOptions,
    Image,
    LollmsSTTBinding,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    Seed,
    Segment,
    Transcript,
    current_call,
    read_media,
    report_progress,
    setting,
    verb,
)
from pydantic import SecretStr


def slowly(when: str) -> None:
    """Take for ever, where the environment says so."""
    if os.environ.get("FAR_SLOW") == when:
        print("slowly", flush=True)
        time.sleep(1000)


slowly("import")


def digest(media: MediaInput) -> str:
    return hashlib.sha256(read_media(media)).hexdigest()


class FarTTSBinding(LollmsTTSBinding):
    """Says what it is told."""

    class Settings(BindingSettings):
        voice_name: str = setting("a", description="A voice.", reload=True)
        models_path: Path | None = setting(None, description="A folder.")
        key: SecretStr | None = setting(None, description="A key.", env="FAR_KEY")

    class Options(CallOptions):
        do: str = ""
        count: int = 3
        seed: Seed = None
        sample: MediaInput | None = None
        samples: tuple[MediaInput, ...] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        slowly("make")

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        self.kept = [name, type(recording).__name__, digest(recording), consent]

    def told_to_keep(self) -> list[str]:
        return self.kept

    def load_model(self) -> str:
        return str(self.settings.voice_name)

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        call = current_call()
        report_progress(0, 1)
        if kwargs["do"] == "exit":
            print("the engine says goodbye", file=sys.stderr, flush=True)
            os._exit(3)
        while kwargs["do"] == "wait":
            call.check()
            time.sleep(0.002)
        if kwargs["do"] == "deaf":
            time.sleep(1000)
        extra: dict[str, Any] = {
            "folder": os.getcwd(),
            "pid": os.getpid(),
            "samples": [digest(sample) for sample in kwargs["samples"]],
            "variables": {n: os.environ[n] for n in ("COLOUR", "FAR_KEY", "HERE_TOKEN") if n in os.environ},
        }
        if kwargs["do"] == "child":
            extra["child"] = subprocess.Popen(["sleep", "1000"]).pid
        if kwargs["do"] == "print":
            for n in range(1000):
                print("printed line", n, flush=n % 100 == 0)
                print("printed line", n, file=sys.stderr)
            subprocess.run("echo from C; echo from C >&2", shell=True, check=True)
        if kwargs["sample"] is not None:
            extra["sample"] = digest(kwargs["sample"])
        call.record(model=self.model, extra=extra)
        if kwargs["do"] == "held":
            path = Path("held.wav").absolute()  # in the worker's own folder, which ends with it
            path.write_bytes(Audio.from_pcm(b"\0\0", 8000))
            return Audio(path=path)
        return Audio.from_pcm(text.encode("utf-16-le"), 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for n in range(kwargs["count"]):
            yield AudioChunk(bytes(2), 8000, 1, f"{text} {n}")

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["a"]

    def heard(self, media: Any) -> str:
        """More than the contract asks for."""
        return digest(media)


class FarSTTBinding(LollmsSTTBinding):
    """Tells in what way it was given something, and what that was."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        kind = "bytes" if isinstance(audio_path, bytes) else "path"
        return Transcript.from_segments([Segment(f"{kind} {digest(audio_path)}", 0.0, 1.0)])

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


class FarTTIBinding(LollmsTTIBinding):
    """Draws black squares."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        import numpy as np

        return Image.from_pixels(np.zeros((height, width, 3), np.uint8))

    @verb("Image", content="prompt")
    def generate_images(self, prompt: str, n: int = 2, width: int = 8, height: int = 8) -> list[Image]:
        """Several."""
        return [self.generate_image(prompt, "", width, height) for _ in range(n)]

    @verb("Image", content="images", options=EditOptions)
    def edit_images(self, images: Any, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """Tells what it was given."""
        given = [*images, *([kwargs["mask"]] if kwargs["mask"] is not None else [])]
        current_call().record(extra={"images": [digest(image) for image in given]})
        return [self.generate_image("x", "", 8, 8)]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []
