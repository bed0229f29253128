"""Video: a ball that bounces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from lollms_modalities import (
    CallOptions,
    Capabilities,
    Fps,
    Height,
    LollmsTTVBinding,
    NumFrames,
    Seed,
    Video,
    Width,
    report_progress,
)


class BallTTVBinding(LollmsTTVBinding):
    """Films a ball that bounces, in a colour that comes from the prompt."""

    engine = "numpy"
    capabilities = Capabilities(seed=True, output_formats=("mp4",))

    class Options(CallOptions):
        num_frames: NumFrames = 12
        fps: Fps = 12
        width: Width = 96
        height: Height = 64
        seed: Seed = None

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        return Video.from_frames(self._frames(prompt, self.Options(**kwargs)), kwargs["fps"])

    def _frames(self, prompt: str, options: Options) -> Iterator[npt.NDArray[np.uint8]]:
        colour = np.frombuffer(zlib.crc32(prompt.encode()).to_bytes(4, "big")[:3], np.uint8)
        start = np.random.default_rng(options.seed).uniform(0, np.pi)
        rows, columns = np.mgrid[: options.height, : options.width]
        radius = min(options.width, options.height) / 8
        for n in range(options.num_frames):
            report_progress(n, options.num_frames, unit="frame")
            height = abs(np.sin(start + n / 4)) * (options.height - 2 * radius) + radius
            ball = (rows - height) ** 2 + (columns - options.width / 2) ** 2 < radius**2
            yield np.where(ball[..., None], colour, np.uint8(24)).astype(np.uint8)
        report_progress(options.num_frames, options.num_frames, unit="frame")

    def list_models(self, **kwargs: Any) -> list[str]:
        return ["ball"]
