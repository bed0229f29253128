"""A binding for tests: its calls end when a file is there, and it notes what it is asked.

A text that begins with "crash" ends the process, with "deaf" listens to no cancel, with "quick" waits for nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    Capabilities,
    LollmsTTSBinding,
    MediaInput,
    OptionError,
    VoiceNotFoundError,
    current_call,
    setting,
)


class GateTTSBinding(LollmsTTSBinding):
    """Says silence, when it is let."""

    class Settings(BindingSettings):
        folder: Path = setting(description="Where it notes what it does.")
        volume: float = setting(1.0, description="A number that may change.", ge=0)
        service_address: str = setting("http://localhost", description="An address.")
        model_name: str | None = setting(None, description="A model.")
        where: str = setting("", description="Something of the machine.", kind="environment")
        default_voice: str | None = setting("plain", description="A voice.", kind="plain")

    class Options(CallOptions):
        speed: float = 1.0
        reference: MediaInput | None = None
        lexicon: Path | None = None
        endpoint: str = ""

    settings: Settings
    capabilities = Capabilities(streaming=True, cloning=True, keeps_voices=True)

    def load_model(self) -> object:
        self._note(f"load {self.settings.model_name}" if self.settings.model_name else "load")
        return object()

    def free_model(self, model: object) -> None:
        self._note("free")

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        self._wait(text)
        if voice != "plain":
            self._note(f"voice {voice}")
        return Audio.from_chunks([AudioChunk(bytes(1600), 8000)])

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for word in text.split():
            self._wait(word)
            yield AudioChunk(bytes(1600), 8000, 1, word)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["plain", "other", *(path.name for path in sorted((self.settings.folder / "voices").glob("*")))]

    def keep_voice(self, name: str, recording: Path | bytes, consent: str) -> None:
        if not consent:
            raise OptionError("There is no consent.")
        folder = self.settings.folder / "voices"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(recording if isinstance(recording, bytes) else recording.read_bytes())

    def drop_voice(self, name: str) -> None:
        try:
            (self.settings.folder / "voices" / name).unlink()
        except FileNotFoundError as exc:
            raise VoiceNotFoundError(f"There is no voice {name!r}.") from exc

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["small", "org/large"]

    def _wait(self, text: str) -> None:
        self._note(f"begin {text}")
        if text.startswith("crash"):
            os._exit(7)
        while not text.startswith("quick") and not (self.settings.folder / "open").exists():
            if not text.startswith("deaf"):
                current_call().check()
            time.sleep(0.002)
        self._note(f"end {text}")

    def _note(self, what: str) -> None:
        with open(self.settings.folder / "notes", "a", encoding="utf-8") as file:
            file.write(f"{what}\n")


class WideGateTTSBinding(GateTTSBinding):
    """Works on two calls side by side."""

    concurrency = 2
