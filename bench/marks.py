"""What marks cost: results with the plug-in beside the same without, in turns. ``nox -s bench -- marks``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lollms_modalities import Audio, Image, LollmsTTIBinding, LollmsTTSBinding, encode_audio, hooks

from bench.harness import paired, seconds, show_extra

_PAIRS = 41


class _Speaks(LollmsTTSBinding):
    """Gives a sound that is there."""

    made = b""

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio(self.made)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class _Draws(LollmsTTIBinding):
    """The same of an image."""

    made = b""

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        return Image(self.made)

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


def _extra(call: Callable[[], object], settings: Mapping[str, Any], number: int) -> tuple[float, float]:
    """Seconds that a call takes longer with the plug-in, and that it takes without."""
    from lollms_marks.plugin import Marks

    plugin = Marks(settings)

    def with_it() -> float:
        hooks.register(plugin)
        try:
            return seconds(call, number)
        finally:
            hooks.unregister(plugin)

    pair = paired(with_it, lambda: seconds(call, number), pairs=_PAIRS, warm_up=3)
    return pair.ours - pair.peer, pair.peer


def marks() -> None:
    """Print the rows."""
    from lollms_marks.certificates import new_certificate

    rng = np.random.default_rng(1)
    noise = (rng.standard_normal(24000 * 210) * 3000).astype("<i2")
    pixels = (rng.random((512, 512, 3)) * 255).astype(np.uint8)
    speaks, draws = _Speaks(), _Draws()
    files: dict[str, tuple[Any, bytes]] = {
        "WAV of 10 MB": (speaks, bytes(Audio.from_samples(noise, 24000))),
        "WAV of 1 s": (speaks, bytes(Audio.from_samples(noise[:24000], 24000))),
        **{f"{name} of 10 s": (speaks, encode_audio(noise[:240000], 24000, name)) for name in ("mp3", "flac", "opus")},
        **{f"{name} of 512x512": (draws, bytes(Image.from_pixels(pixels, name))) for name in ("png", "jpeg", "webp")},
    }
    with tempfile.TemporaryDirectory() as folder:
        certificate, key, _ = new_certificate(Path(folder) / "certificate", "Bench")
        signed = {"certificate": str(certificate), "key": str(key)}
        for what, (binding, data) in files.items():
            binding.made = data
            call = (lambda: speaks.generate_audio("x")) if binding is speaks else (lambda: draws.generate_image("x"))
            size = len(data) / 1e6
            extra, without = _extra(call, {}, 10 if size < 1 else 1)
            # Large ones miss it: their bytes are copied, into a buffer with the mark and into the result.
            show_extra(f"plain mark, {what}", extra, 0.0005, 1e3, "ms", f"over {without * 1e3:.3f} ms, {size:.2f} MB")
            if "opus" not in what:
                goal = 0.005 + (0.010 * size if "WAV" in what else 0.0)
                extra, without = _extra(call, signed, 1)
                show_extra(f"signed, {what}", extra, goal, 1e3, "ms", f"over {without * 1e3:.3f} ms, {size:.2f} MB")
