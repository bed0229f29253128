"""A binding for the tests of what crosses to a worker and back."""

from __future__ import annotations

import builtins
import os
import warnings
from collections.abc import Iterator
from typing import Any

from lollms_modalities import (
    Audio,
    AudioChunk,
    BindingSettings,
    CallOptions,
    GenerationError,
    LollmsError,
    LollmsTTSBinding,
    current_call,
    errors,
    setting,
)
from pydantic import SecretBytes, SecretStr


class OwnWarning(RuntimeWarning):
    """Nobody else has it."""


class UnshowableError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


def record_anything() -> None:
    """What is no JSON."""
    current_call().record(usage={"read": b"\xff", "wide": 10**5000}, extra={"odd": object, 1: float("nan")})


class CrossingTTSBinding(LollmsTTSBinding):
    """Gives back what it is given."""

    class Settings(BindingSettings):
        api_key: SecretStr | None = None
        binary_key: SecretBytes | None = None
        keys: list[SecretStr] = setting([])
        table: dict[str, SecretStr] = setting({})
        raw: bytes = b""
        anything: Any = None

    class Options(CallOptions):
        value: Any = None

    settings: Settings

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        value = kwargs["value"]
        if text == "record":
            record_anything()
            return Audio.from_pcm(b"\1\0", 8000)
        current_call().record(extra={"type": type(value).__name__, "value": repr(value)})
        return Audio.from_pcm(b"\1\0", 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        if text == "record":
            record_anything()
        for n in range(3):
            yield AudioChunk(b"\1\0", 8000, text=str(n))

    def list_voices(self, **kwargs: Any) -> list[str]:
        s = self.settings
        keys = [s.api_key, s.binary_key, *s.keys, *s.table.values()]
        return [*(str(key.get_secret_value()) for key in keys if key is not None), repr(s.raw)]

    def warn(self, name: str) -> None:
        """Warn."""
        found = globals().get(name) or getattr(builtins, name, None) or getattr(errors, name)
        warnings.simplefilter("always")
        warnings.warn(found(LollmsError("said") if name == "BindingUnavailableWarning" else "said"), stacklevel=2)

    def tell_anything(self) -> str:
        """Tell of a setting."""
        return repr(self.settings.anything)

    def give_back(self, value: Any) -> Any:
        """Give what is given."""
        return value

    def fail(self) -> None:
        """Fail."""
        raise UnshowableError

    def fail_widely(self) -> None:
        """Fail with facts that are not told as JSON."""
        raise GenerationError("It went wrong.", wide=10**5000, odd=object(), known=1)

    def print_keys(self) -> None:
        """Print the keys in every way, and end."""
        import json
        from urllib.parse import quote

        assert self.settings.api_key is not None
        assert self.settings.binary_key is not None
        key = self.settings.api_key.get_secret_value()
        print(repr(key), json.dumps(key), quote(key, safe=""), self.settings.binary_key.get_secret_value(), flush=True)
        os._exit(3)
