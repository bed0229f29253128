"""Images: blocks of colour."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from lollms_modalities import (
    CallOptions,
    Capabilities,
    Count,
    EditOptions,
    Height,
    Image,
    ImageInput,
    LollmsTTIBinding,
    MediaInput,
    NumInferenceSteps,
    OptionError,
    Scale,
    Seed,
    Width,
    option,
    read_media,
    report_progress,
    verb,
)
from PIL import Image as pillow
from PIL import ImageOps

LARGEST = 4096  # pixels


class ChangeOptions(EditOptions):
    """Of ``edit_images``."""

    n: Count = 1
    seed: Seed = None


class EnlargeOptions(CallOptions):
    """Of ``upscale_image``."""

    scale: Scale = 2


class CutOptions(CallOptions):
    """Of ``remove_background``."""

    tolerance: int = option(16, description="How far a colour may be from that of the corner.", ge=0, le=255)


class BlocksTTIBinding(LollmsTTIBinding):
    """Draws blocks whose colours come from the prompt and the seed."""

    engine = "numpy"
    capabilities = Capabilities(seed=True, output_formats=("png", "jpeg", "webp"), limits={"max_width": LARGEST})

    class Options(CallOptions):
        width: Width = 512
        height: Height = 512
        num_inference_steps: NumInferenceSteps = 8
        seed: Seed = None
        preview_every: int = option(
            0, description="A preview with the progress every so many steps; 0 is none.", ge=0, le=10_000
        )

    def generate_image(
        self, prompt: str, negative_prompt: str = "", width: int = 512, height: int = 512, **kwargs: Any
    ) -> Image:
        if max(width, height) > LARGEST:
            raise OptionError(f"An image of {width}x{height} was asked for.", hint=f"At most {LARGEST} pixels a side.")
        words = hashlib.sha256(f"{prompt}\0{negative_prompt}".encode()).digest()
        rng = np.random.default_rng([kwargs["seed"], *words])
        steps, every = kwargs["num_inference_steps"], kwargs["preview_every"]
        colours = np.zeros((8, 8, 3))
        report_progress(0, steps, unit="step")
        for step in range(1, steps + 1):
            colours += rng.integers(0, 256, (8, 8, 3)) / steps
            shown = every and step % every == 0 and step < steps
            report_progress(step, steps, unit="step", preview=_enlarged(colours, 64, 64) if shown else None)
        return _enlarged(colours, width, height)

    @verb("Image", content="images", options=ChangeOptions)
    def edit_images(
        self, images: list[Path | bytes], prompt: str, negative_prompt: str = "", mask: Path | bytes | None = None,
        **kwargs: Any,
    ) -> list[Image]:  # fmt: skip
        """The images, one over the other, under a veil of the blocks that ``prompt`` gives; ``n`` veils."""
        pixels = [_upright(image).convert("RGB") for image in images]
        size = pixels[0].size
        under = np.mean([np.asarray(one.resize(size)) for one in pixels], axis=0)
        where = np.ones((size[1], size[0], 1)) if mask is None else _where(mask, size)
        made = []
        for number in range(kwargs["n"]):
            seed = (kwargs["seed"] + number) % 2**63
            veil = self.generate_image(
                prompt, negative_prompt, *size, seed=seed, num_inference_steps=1, preview_every=0
            )
            over = (under + np.asarray(veil.to_pil())) / 2
            made.append(Image.from_pixels((under + (over - under) * where).astype(np.uint8)))
        return made

    @verb("Image", content="image", options=EnlargeOptions)
    def upscale_image(self, image: ImageInput, scale: float | None = None, **kwargs: Any) -> Image:
        """The image with each pixel so many times as large."""
        before = _upright(image)
        size = round(before.width * (scale or 2)), round(before.height * (scale or 2))
        if max(size) > LARGEST:
            raise OptionError(
                f"An image of {size[0]}x{size[1]} was asked for.", hint=f"At most {LARGEST} pixels a side."
            )
        report_progress(1, 1)
        return Image.from_pil(before.resize(size, 0))

    @verb("Image", content="image", options=CutOptions)
    def remove_background(self, image: ImageInput, **kwargs: Any) -> Image:
        """The image without what has the colour of its upper left corner."""
        pixels = np.array(_upright(image).convert("RGBA"))
        apart = np.abs(pixels[:, :, :3].astype(int) - pixels[0, 0, :3]).max(axis=2)
        pixels[apart <= kwargs["tolerance"], 3] = 0
        report_progress(1, 1)
        return Image.from_pixels(pixels)

    def list_services(self, **kwargs: Any) -> list[dict[str, str]]:
        return [{"name": "blocks", "caption": "Blocks", "help": "Eight by eight blocks of colour."}]


def _enlarged(colours: np.ndarray, width: int, height: int) -> Image:
    """The blocks as an image of that size."""
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    return Image.from_pixels(colours[rows][:, columns].astype(np.uint8))


def _upright(image: MediaInput) -> pillow.Image:
    """The image as it is looked at, however the camera was held."""
    return ImageOps.exif_transpose(Image(read_media(image)).to_pil())


def _where(mask: Path | bytes, size: tuple[int, int]) -> np.ndarray:
    """1 where a mask is transparent, or white if it has no transparency; shape (height, width, 1)."""
    image = _upright(mask).resize(size)
    clear = 255 - np.asarray(image.getchannel("A")) if "A" in image.getbands() else np.asarray(image.convert("L"))
    return clear[:, :, None] / 255
