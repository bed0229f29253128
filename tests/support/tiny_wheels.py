"""Tiny wheels, made in milliseconds: a binding that beeps, and what it requires."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BEEP = '''
import os
from typing import Any

from lollms_modalities import Audio, BindingSettings, CallOptions, LollmsTTSBinding


class BeepTTSBinding(LollmsTTSBinding):
    """Beeps."""

    class Settings(BindingSettings):
        pass

    class Options(CallOptions):
        pass

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        import beep_sound
        from lollms_modalities import current_call

        current_call().record(
            usage={"sound": beep_sound.VERSION, "tone": os.environ.get("BEEP_TONE", ""), "home": __file__}
        )
        return Audio.from_pcm(text.encode("utf-16-le"), 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return ["one"]
'''


def make_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], *, requires: Sequence[str] = (),
    entry_points: str = "", python: str = ">=3.11", extras: Mapping[str, Sequence[str]] | None = None,
) -> Path:  # fmt: skip
    """Write a wheel for any Python; ``files`` are texts by their path in it."""
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}"]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    for extra, lines in (extras or {}).items():
        metadata += [f"Provides-Extra: {extra}", *(f'Requires-Dist: {line}; extra == "{extra}"' for line in lines)]
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        contents[f"{info}/entry_points.txt"] = entry_points
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in contents.items())
    contents[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
    return wheel


def make_beep(folder: Path, recipe: str | None, *, requires: Sequence[str] = ("beep-sound",)) -> Path:
    """The distribution ``beep`` 1.0, whose binding is ``beep`` and, older, ``beeper``; with a recipe or without."""
    files = {"beep/__init__.py": BEEP}
    if recipe is not None:
        files["beep/environment.toml"] = recipe
    points = "[lollms_client.tts_bindings]\nbeep = beep:BeepTTSBinding\nbeeper = beep:BeepTTSBinding\n"
    return make_wheel(
        folder, "beep", "1.0", files, requires=["lollms-modalities-core>=2,<3", *requires], entry_points=points,
        extras={"loud": ["beep-loud"]},
    )  # fmt: skip


def make_sound(folder: Path, version: str = "1.0", *, requires: Sequence[str] = ()) -> Path:
    """What the beep requires."""
    return make_wheel(folder, "beep-sound", version, {"beep_sound.py": f"VERSION = {version!r}\n"}, requires=requires)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
