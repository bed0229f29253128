"""The engines of ``counting`` for images, films and music. A prompt is a command, as of ``counting_engine``: ``work 20``, ``fail``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from counting_engine import SECRET, STEP, note
from lollms_modalities import (
    Audio,
    CallCancelled,
    CallOptions,
    Capabilities,
    Count,
    Duration,
    EditOptions,
    Fps,
    Height,
    Image,
    LollmsTTIBinding,
    LollmsTTMBinding,
    LollmsTTVBinding,
    MediaInput,
    NumFrames,
    NumInferenceSteps,
    OptionError,
    Seed,
    Video,
    Width,
    option,
    read_media,
    report_progress,
    verb,
)


def work(prompt: str) -> Iterator[tuple[int, int]]:
    """The steps that a prompt asks for."""
    words = prompt.split()
    if words[0] == "fail":
        raise RuntimeError(SECRET)
    if words[0] == "crash":
        os._exit(7)
    steps = int(words[1]) if words[0] == "work" else 2
    try:
        for step in range(steps):
            yield step, steps
            time.sleep(STEP)
    except (CallCancelled, GeneratorExit):
        note("cancelled")
        raise
    note("ended")


class PictureOptions(CallOptions):
    """Of every verb of images."""

    width: Width = 32
    height: Height = 32
    seed: Seed = None
    num_inference_steps: NumInferenceSteps = 8
    preview_every: int = option(0, description="A preview every so many steps.", ge=0)


class PicturesOptions(PictureOptions):
    """Of ``generate_images``."""

    n: Count = 1


class ChangeOptions(PicturesOptions, EditOptions):
    """Of ``edit_images``."""


class CountingTTI(LollmsTTIBinding):
    """Draws a colour that comes from the seed."""

    engine = "counting"
    capabilities = Capabilities(seed=True, output_formats=("png", "jpeg", "webp"))
    Options = PictureOptions

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 32, height: int = 32, **kwargs: Any
    ) -> Image:
        return self.generate_images(prompt, negative_prompt, width=width, height=height, **kwargs)[0]

    @verb("Image", content="prompt", options=PicturesOptions)
    def generate_images(self, prompt: str, negative_prompt: str = "", **kwargs: Any) -> list[Image]:
        """``n`` images."""
        options = PicturesOptions(**kwargs)
        note(f"drew {options.n} {prompt[:30]!r}")
        return self._drawn(prompt, options)

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """``n`` images as large as the first of those that are given."""
        first = Image(read_media(images[0]))
        note(f"changed {len(images)} {'masked' if mask is not None else 'whole'}")
        return self._drawn(prompt, PicturesOptions(**{**kwargs, "width": first.width, "height": first.height}))

    def _drawn(self, prompt: str, options: PicturesOptions) -> list[Image]:
        if options.width > 512:
            raise OptionError("It draws 512 pixels at most.", names=["width"])
        steps = options.num_inference_steps
        try:
            for step in range(1, steps + 1):
                shown = options.preview_every and step % options.preview_every == 0 and step < steps
                report_progress(step, steps, unit="step", preview=_colour(step, options) if shown else None)
        except CallCancelled:
            note("cancelled")
            raise
        for _ in work(prompt):
            report_progress(steps, steps, unit="step")
        return [_colour((options.seed or 0) + number, options) for number in range(options.n)]

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return []


def _colour(seed: int, options: PictureOptions) -> Image:
    colour = [seed % 256, seed // 256 % 256, 99]
    return Image.from_pixels(np.full((options.height, options.width, 3), colour, np.uint8))


class CountingTTV(LollmsTTVBinding):
    """Films nothing much."""

    engine = "counting"
    capabilities = Capabilities(seed=True, output_formats=("mp4",))

    class Options(CallOptions):
        width: Width = 32
        height: Height = 32
        num_frames: NumFrames = 4
        fps: Fps = 4
        seed: Seed = None
        image: MediaInput | None = option(None, description="What it begins with.")

    def generate_video(self, prompt: str, **kwargs: Any) -> Video:
        options = self.Options(**kwargs)
        begins = 0 if options.image is None else len(read_media(options.image))
        note(f"filmed {prompt[:30]!r} {options.num_frames} {begins}")
        for step, steps in work(prompt):
            report_progress(step, steps, unit="step")
        frame = np.full((options.height, options.width, 3), (options.seed or 0) % 256, np.uint8)
        return Video.from_frames([frame] * options.num_frames, options.fps)

    def list_models(self, **kwargs: Any) -> list[str]:
        return []


class CountingTTM(LollmsTTMBinding):
    """Plays nothing, for as long as is asked for."""

    engine = "counting"

    class Options(CallOptions):
        duration: Duration = 1.0

    def generate_music(self, prompt: str, **kwargs: Any) -> Audio:
        note(f"played {prompt[:30]!r}")
        for step, steps in work(prompt):
            report_progress(step, steps, unit="step")
        return Audio.from_pcm(bytes(2 * round(8000 * kwargs["duration"])), 8000)

    def list_models(self, **kwargs: Any) -> list[str]:
        return []
