"""What marks cost: results with the plug-in beside the same without, in turns. ``nox -s bench -- marks``.

Processor time decides: nothing is waited for, and by the clock a call is slower for whatever else the machine does.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lollms_modalities import Audio, Image, LollmsTTIBinding, LollmsTTSBinding, encode_audio, hookimpl, hooks

from bench.harness import paired, without_plugins

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


class _Copies:
    """Does what any plug-in must that puts something into bytes: they are joined, and a result is made of them."""

    @hookimpl
    def lollms_result_encoded(self, media: Any) -> Any:
        view = memoryview(media)
        return type(media)(b"".join((view[:44], bytes(1500), view[44:])))


@contextmanager
def _registered(plugin: object | None) -> Iterator[None]:
    if plugin is None:
        yield
        return
    hooks.register(plugin)
    try:
        yield
    finally:
        hooks.unregister(plugin)


class _Cost(NamedTuple):
    """What a call costs more with a plug-in, and what it costs with another or none: seconds of processor, of wall."""

    extra: float
    extra_wall: float
    without: float

    def show(self, what: str, goal: float | None = None) -> None:
        """One row."""
        verdict = "" if goal is None else f", goal {goal * 1e3:.3g} ms: {'met' if self.extra <= goal else 'MISSED'}"
        print(
            f"{what:42} {self.extra * 1e3:8.3f} ms of processor over {self.without * 1e3:.3f}{verdict} "
            f"(by the clock {self.extra_wall * 1e3:.3f})",
            flush=True,
        )


def _cost(call: Callable[[], object], plugin: object, number: int = 1, beside: object | None = None) -> _Cost:
    """What the plug-in costs, beside another or none, in turns."""
    walls: dict[bool, list[float]] = {True: [], False: []}

    def timed(ours: bool) -> float:
        with _registered(plugin if ours else beside):
            clock, processor = time.perf_counter(), time.process_time()
            for _ in range(number):
                call()
            taken = time.process_time() - processor
            walls[ours].append((time.perf_counter() - clock) / number)
        return taken / number

    pair = paired(lambda: timed(True), lambda: timed(False), pairs=_PAIRS, warm_up=3)
    by_clock = statistics.median(walls[True]) - statistics.median(walls[False])
    return _Cost(pair.ours - pair.peer, by_clock, pair.peer)


@without_plugins("marks")  # where it is installed it is on, and then both sides would have it
def marks() -> None:
    """Print the rows."""
    from lollms_marks.certificates import new_certificate
    from lollms_marks.plugin import Marks

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
        into = Path(folder) / "speech.wav"
        plain, signing, copies = Marks({}), Marks({"certificate": str(certificate), "key": str(key)}), _Copies()
        for what, (binding, data) in files.items():
            binding.made = data
            call = (lambda: speaks.generate_audio("x")) if binding is speaks else (lambda: draws.generate_image("x"))
            size = len(data) / 1e6
            number = 10 if size < 1 else 1
            _cost(call, plain, number).show(f"plain mark, {what}, {size:.2f} MB", 0.0005)
            if size > 1:
                # Bytes do not change without a copy, and the memory that it takes costs more than the copying.
                _cost(call, copies).show("  its floor: the bytes copied")
                _cost(call, plain, beside=copies).show("  over its floor", 0.0005)
                _cost(lambda: speaks.generate_audio("x", output_path=into), plain).show("  into a file", 0.0005)
            if "opus" not in what:
                goal = 0.005 + (0.010 * size if "WAV" in what else 0.0)
                _cost(call, signing).show(f"signed, {what}", goal)
