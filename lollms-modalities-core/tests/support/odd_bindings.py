"""Bindings for the tests of workers: they start when they are let, take odd options, and say odd things."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    LollmsTTSBinding,
    MediaInput,
    current_call,
    setting,
)
from pydantic import SecretStr


class OddTTSBinding(LollmsTTSBinding):
    """Odd."""

    concurrency = 1

    class Settings(BindingSettings):
        voice_name: str = setting("a", description="A voice.")
        gate: Path | None = setting(None, description="A file without which it is not made.")
        api_key: SecretStr | None = setting(None, description="A key.", env="ODD_API_KEY")
        keys: list[SecretStr] = setting([], description="More keys.")

    class Options(CallOptions):
        do: str = ""
        gate: Path | None = None
        count: int = 3
        parts: list[MediaInput] | None = None
        many: list[bytes] | None = None
        amount: Decimal = Decimal(0)
        ratio: Any = None
        when: datetime | None = None
        length: timedelta | None = None
        by_number: dict[int, str] | None = None

    settings: Settings

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        wait_for(self.settings.gate)

    def load_model(self) -> str:
        return "loaded"

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if kwargs["do"] == "wait":
            wait_for(kwargs["gate"])
        if kwargs["do"] == "stop":
            os.kill(os.getpid(), 19)
        if kwargs["do"] == "print":
            print(text, flush=True)
            os._exit(3)
        if kwargs["do"] == "bars":
            sys.stdout.write("before\n" + "".join(f"\r{n:6} of many" for n in range(50_000)) + "x" * 700_000)
            sys.stdout.flush()
            os._exit(3)
        if kwargs["do"] == "nonsense":
            os.write(int(sys.argv[1]), bytes.fromhex(text))
            time.sleep(60)
        said = {
            "pid": os.getpid(),
            "voice": self.settings.voice_name,
            "variable": os.environ.get(text, ""),
            "many": None if kwargs["many"] is None else [len(kwargs["many"]), sum(map(len, kwargs["many"]))],
            "parts": [len(part) for part in kwargs["parts"] or () if isinstance(part, bytes)],
            "types": [type(kwargs[name]).__name__ for name in ("amount", "ratio", "when", "length")],
            "values": [str(kwargs[name]) for name in ("amount", "ratio", "when", "length", "by_number")],
        }
        current_call().record(extra=said)
        return Audio.from_pcm(bytes(2), 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for n in range(kwargs["count"]):
            if n and kwargs["do"] == "sleep":
                kwargs["gate"].touch()
                time.sleep(60)
            current_call().check()
            yield AudioChunk(bytes(2), 8000, 1, str(n))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return [self.settings.voice_name]

    def slow(self, gate: str) -> str:
        """Waits."""
        wait_for(Path(gate))
        return "done"

    def pieces(self, count: int) -> list[bytes]:
        """Many."""
        return [b"%d" % n for n in range(count)]

    def whole(self, size: int) -> Audio:
        """Large."""
        return Audio.from_pcm(bytes(size), 8000)


class OddConcurrentTTSBinding(OddTTSBinding):
    """Several at once."""

    concurrency = 8


def wait_for(gate: Path | None) -> None:
    """Until the file is there."""
    while gate is not None and not gate.exists():
        time.sleep(0.005)
