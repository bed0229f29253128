"""Bindings as strangers write them in ten minutes, each in its own way, for the proof that the suite raises no false alarm.

A program that speaks, a Python library that draws, a service that writes down.
"""

from __future__ import annotations

import json
import sys
import urllib.request
import wave
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from lollms_modalities import (
    Audio,
    BindingSettings,
    CallOptions,
    Capabilities,
    Image,
    LollmsSTTBinding,
    LollmsTTIBinding,
    LollmsTTSBinding,
    MediaInput,
    OptionError,
    ServiceError,
    Transcript,
    VoiceNotFoundError,
    current_call,
    report_progress,
    setting,
)
from lollms_modalities.kit import program

# -- a program: one process for a text, which gives a WAV --------------------------------------------------------------

_BUZZER = """
import math, struct, sys, wave
pitch, rate, text = float(sys.argv[1]), float(sys.argv[2]), sys.argv[4]
samples = []
for word in text.split():
    samples += [int(9000 * math.sin(2 * math.pi * pitch * n / 8000)) for n in range(int(300 * (1 + len(word)) / rate))]
    samples += [0] * 200
with wave.open(sys.stdout.buffer, "wb") as out:
    out.setparams((1, 2, 8000, len(samples), "NONE", ""))
    out.writeframesraw(struct.pack(f"<{len(samples)}h", *samples))
"""
_PITCHES = {"man": "120", "woman": "210", "child": "320"}


class BuzzerTTSBinding(LollmsTTSBinding):
    """Buzzes for each word, with a program."""

    engine = "python"

    class Settings(BindingSettings):
        default_voice: str = setting("man", description="Who buzzes.")

    class Options(CallOptions):
        speed: float = 1.0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if voice not in _PITCHES:
            raise VoiceNotFoundError(f"no voice {voice!r:.50}")
        if not 0.25 <= kwargs["speed"] <= 4:
            raise OptionError("option 'speed': from 0.25 to 4", names=["speed"])
        current_call().record(engine_version=self.model)
        report_progress(0, 1)
        command = [sys.executable, "-c", _BUZZER, _PITCHES[voice], str(kwargs["speed"]), "--", text]
        made = program.run(command).stdout
        report_progress(1, 1)
        return Audio(made)

    def load_model(self) -> str:
        return program.version(sys.executable)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return sorted(_PITCHES)


# -- a Python library: Pillow ----------------------------------------------------------------------------------------


class LettersTTIBinding(LollmsTTIBinding):
    """Writes the prompt as a picture."""

    engine = "pillow"
    capabilities = Capabilities(limits={"max_width": 2000, "max_height": 2000})

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        import warnings
        import zlib

        from PIL import Image as Pictures
        from PIL import ImageDraw

        if not (0 < width <= 2000 and 0 < height <= 2000):
            raise OptionError(f"{width}x{height}: at most 2000 pixels a side", names=["width", "height"])
        if negative_prompt:
            warnings.warn("Letters know no negative prompt: it is ignored.", stacklevel=2)
        picture = Pictures.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(picture)
        words = prompt.split() or ["nothing"]
        for done, word in enumerate(words):
            colour = zlib.crc32(word.encode()) & 0x7F7F7F
            draw.rectangle((done * 7 % width, done * 11 % height, width, height), fill=f"#{colour:06x}")
            report_progress(done + 1, len(words))
        out = BytesIO()
        picture.save(out, "PNG")
        return Image(out.getvalue())

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return [{"name": "letters", "caption": "Letters", "help": "Pictures of words."}]


# -- a service -------------------------------------------------------------------------------------------------------


class CountingSTTBinding(LollmsSTTBinding):
    """Tells how long a recording is, with a service."""

    engine = "counting service"

    class Settings(BindingSettings):
        address: str = setting("http://127.0.0.1:1", description="Of the service.")

    settings: Settings

    def transcribe_audio(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Transcript:
        from lollms_modalities import ModelNotFoundError
        from lollms_modalities.kit import decode_audio

        if model not in (None, "one"):
            raise ModelNotFoundError(f"no model {model!r:.50}")
        report_progress(0, 1)
        samples = decode_audio(audio_path, 16000)
        body = bytes(Audio.from_samples(samples, 16000))
        request = urllib.request.Request(f"{self.settings.address}/count", body)
        try:
            with urllib.request.urlopen(request, timeout=current_call().remaining()) as answer:
                told = json.load(answer)
        except OSError as exc:
            current_call().check()
            raise ServiceError(f"{self.settings.address} does not answer: {exc}") from exc
        report_progress(1, 1)
        return Transcript(told["text"], language="en", duration=len(samples) / 16000)

    def stream_transcript(self, audio_path: MediaInput, model: str | None = None, **kwargs: Any) -> Iterator[Any]:
        yield from self.transcribe_audio(audio_path, model, **kwargs).as_segments()

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["one"]


def count(body: bytes) -> dict[str, str]:
    """What the service answers."""
    with wave.open(BytesIO(body)) as file:
        return {"text": f"{file.getnframes()} samples"}
