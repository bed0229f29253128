"""Images: blocks of colour."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from lollms_modalities import (
    CallOptions,
    Capabilities,
    Height,
    Image,
    LollmsTTIBinding,
    NumInferenceSteps,
    OptionError,
    Seed,
    Width,
    report_progress,
)

LARGEST = 4096  # pixels


class BlocksTTIBinding(LollmsTTIBinding):
    """Draws blocks whose colours come from the prompt and the seed."""

    engine = "numpy"
    capabilities = Capabilities(seed=True, output_formats=("png", "jpeg", "webp"), limits={"max_width": LARGEST})

    class Options(CallOptions):
        width: Width = 512
        height: Height = 512
        num_inference_steps: NumInferenceSteps = 8
        seed: Seed = None

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        if max(width, height) > LARGEST:
            raise OptionError(f"An image of {width}x{height} was asked for.", hint=f"At most {LARGEST} pixels a side.")
        words = hashlib.sha256(f"{prompt}\0{negative_prompt}".encode()).digest()
        rng = np.random.default_rng([kwargs["seed"], *words])
        steps = kwargs["num_inference_steps"]
        colours = np.zeros((8, 8, 3))
        for step in range(steps):
            report_progress(step, steps, unit="step")
            colours += rng.integers(0, 256, (8, 8, 3)) / steps
        report_progress(steps, steps, unit="step")
        rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
        return Image.from_pixels(colours[rows][:, columns].astype(np.uint8))

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return [{"name": "blocks", "caption": "Blocks", "help": "Eight by eight blocks of colour."}]
