"""Which models there are, and how large they are as published."""

from __future__ import annotations

from pathlib import Path

from gpu.models import films, pictures, sounds
from gpu.models.store import Model


def _tiny_pictures(kind: str, folder: Path) -> object:
    from diffusers_models import MAKERS  # type: ignore[import-not-found, unused-ignore]

    return MAKERS[kind](folder)


MODELS = {
    "bark-small": Model(lambda f, d: sounds.bark(f, d, sounds.BARK_SMALL), sounds.tiny_bark, 1.7),
    "bark-large": Model(lambda f, d: sounds.bark(f, d, sounds.BARK_LARGE), sounds.tiny_bark, 4.5),
    "musicgen-small": Model(lambda f, d: sounds.musicgen(f, d, sounds.MUSICGEN_SMALL), sounds.tiny_musicgen, 2.4),
    "musicgen-medium": Model(lambda f, d: sounds.musicgen(f, d, sounds.MUSICGEN_MEDIUM), sounds.tiny_musicgen, 8.1),
    "whisper-large-v3": Model(sounds.whisper, sounds.tiny_whisper, 6.4),
    "sdxl": Model(pictures.sdxl, lambda f: _tiny_pictures("sdxl", f), 7.0),
    "flux": Model(pictures.flux, lambda f: _tiny_pictures("flux", f), 34.0),
    "wan": Model(films.wan, lambda f: _tiny_pictures("wan", f), 15.0),
    "ltx": Model(films.ltx, lambda f: _tiny_pictures("ltx", f), 15.0),
}
