"""Bindings that do in their worker what engines do at their worst. Written into a folder as a distribution by the tests."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Capabilities,
    GenerationError,
    Image,
    LollmsSTTBinding,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    Seed,
    Segment,
    Transcript,
    Word,
    current_call,
    read_media,
    report_progress,
    setting,
    verb,
)
from pydantic import SecretStr

_LEAK: list[bytes] = []


def unknown_error() -> type[GenerationError]:
    """A class that the host does not have."""
    return type("UnknownError", (GenerationError,), {"__module__": "nasty_bindings"})


class NastyTTSBinding(LollmsTTSBinding):
    """Says what it is told, or worse."""

    engine = "pydantic"
    capabilities = Capabilities(streaming=True, seed=True, languages=("en",), limits={"max_text": 10.0})

    class Settings(BindingSettings):
        voice_name: str = setting("a", description="A voice.", reload=True)
        api_key: SecretStr | None = setting(None, description="A key.")
        crash_at_start: bool = setting(False, description="End while the binding is made.")
        killed_at_start: Path | None = setting(None, description="A file with how often it is killed there, yet.")
        crash_at_load: bool = setting(False, description="End while the model is loaded.")
        load_seconds: float = setting(0.0, description="What loading takes.")
        default_speed: float = setting(1.5, description="Speed.", gt=0)
        host_address: str | None = setting(None, description="A server.", shared=True)
        service_key: SecretStr | None = setting(None, description="Its key.", shared=True)

    class Options(CallOptions):
        do: str = "speak"
        seconds: float = 0.0
        size: int = 2
        count: int = 3
        code: int = 3
        speed: float = 1.0
        seed: Seed = None
        sample: MediaInput | None = None

    settings: Settings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if self.settings.crash_at_start:
            print("about to crash", flush=True)
            os._exit(7)
        kills = self.settings.killed_at_start
        if kills is not None and (left := int(kills.read_text())):
            kills.write_text(str(left - 1))
            os.kill(os.getpid(), 9)

    def load_model(self) -> str:
        if self.settings.crash_at_load:
            os._exit(8)
        time.sleep(self.settings.load_seconds)
        return self.settings.voice_name

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        do, seconds = kwargs["do"], kwargs["seconds"]
        if do == "exit":
            print("the engine says goodbye", file=sys.stderr, flush=True)
            os._exit(kwargs["code"])
        if do == "segfault":
            ctypes.string_at(0)
        if do == "killed":
            os.kill(os.getpid(), 9)
        if do == "sleep":  # and listens to nobody
            time.sleep(seconds)
        if do == "sleep with the GIL":
            ctypes.PyDLL(None).sleep(int(seconds))
        if do == "wait":
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                current_call().check()
                time.sleep(0.002)
        if do == "print":
            print("from Python")
            ctypes.CDLL(None).puts(b"from C")
            ctypes.CDLL(None).fflush(None)
            os.write(2, b"to stderr without an end")
        if do == "progress":
            for n in range(kwargs["count"]):
                report_progress(n, kwargs["count"], stage="work", unit="step")
            report_progress(kwargs["count"], kwargs["count"], stage="work", unit="step")
        if do == "unknown error":
            raise unknown_error()("It went wrong.", hint="Do it well.", answer=42)
        if do == "leaking error":
            raise RuntimeError(f"the key is {self.settings.api_key.get_secret_value()}")  # type: ignore[union-attr]
        if do == "system exit":
            raise SystemExit("no")
        if do == "leak":
            _LEAK.append(os.urandom(kwargs["size"]))
        if do == "warn":
            warnings.warn("the engine is worried", RuntimeWarning, stacklevel=2)
        if do == "child":
            child = subprocess.Popen(["sleep", "1000"])
            current_call().record(extra={"child": child.pid})
        if do == "sample":
            current_call().record(extra={"sample": hashlib.sha256(read_media(kwargs["sample"])).hexdigest()})
        current_call().record(model=self.model, usage={"pid": os.getpid()})
        if do == "size":
            return Audio.from_pcm(bytes(kwargs["size"]), 16000)
        return Audio.from_pcm(text.encode("utf-16-le"), 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for n in range(kwargs["count"]):
            if kwargs["do"] == "exit" and n == 1:
                os._exit(kwargs["code"])
            if kwargs["do"] == "fail" and n == 1:
                raise unknown_error()("It went wrong.")
            if kwargs["do"] == "sleep":
                time.sleep(kwargs["seconds"])
            report_progress(n, kwargs["count"])
            yield AudioChunk(bytes(kwargs["size"]), 8000, 1, f"{text} {n}")

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["a", "b"]

    def list_voice_presets(self) -> dict[str, list[int]]:
        """More than the contract asks for."""
        return {"a": [1, 2]}


class NastySTTBinding(LollmsSTTBinding):
    """Hears how much it was given."""

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        data = read_media(audio_path)
        word = Word("ü", 0.0, 0.5, 0.25)
        segment = Segment(hashlib.sha256(data).hexdigest(), 0.0, 1.0, (word,), extra={"size": len(data)})
        return Transcript.from_segments([segment], language="en", duration=1.0)

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


class NastyTTIBinding(LollmsTTIBinding):
    """Draws black squares, several at once."""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        import numpy as np

        report_progress(1, 2, preview=Image.from_pixels(np.full((2, 2), 128, np.uint8)))
        return Image.from_pixels(np.zeros((height, width, 3), np.uint8))

    @verb("Image", content="prompt")
    def generate_images(self, prompt: str, n: int = 2, width: int = 8, height: int = 8) -> list[Image]:
        """Several."""
        return [self.generate_image(prompt, "", width, height + k) for k in range(n)]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return [{"name": "a", "caption": "A", "help": ""}]
