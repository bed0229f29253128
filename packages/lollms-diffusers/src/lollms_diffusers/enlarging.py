"""Models that enlarge images: which there are, and what they want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import CallOptions, Scale, Seed, UnsupportedError, option

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class Enlarger(NamedTuple):
    """How a pipeline enlarges.

    Attributes:
        scale: by how much each side grows.
        step: what the sides of its input are multiples of.
    """

    scale: int
    step: int


_ENLARGERS = {
    "StableDiffusionUpscalePipeline": Enlarger(4, 8),
    # Its denoiser halves latents three times, of which one stands for 8 pixels.
    "StableDiffusionLatentUpscalePipeline": Enlarger(2, 64),
}


class EnlargeOptions(CallOptions):
    """Of ``upscale_image``."""

    scale: Scale = None
    prompt: str = option("", description="What the image shows.")
    negative_prompt: str = option("", description="What not to show.")
    num_inference_steps: int | None = option(
        None, description="Denoising steps; the model's own number when empty.", ge=1, le=10_000
    )
    guidance_scale: float | None = option(
        None, description="How closely the prompt is followed; the model's own when empty.", ge=0, le=1000
    )
    noise_level: int | None = option(
        None, description="Where the model has it: noise that is added, for more detail.", ge=0, le=1000
    )
    seed: Seed = None
    scheduler_name: str = option("default", description="Scheduler; the default is the model's own.", min_length=1)
    loras: dict[str, float] = option({}, description="LoRAs by path or name, each with its weight.", kind="path")


def enlarger_of(pipe: Any) -> Enlarger:
    """How a pipeline enlarges.

    Raises:
        UnsupportedError: it enlarges nothing.
    """
    kind = type(pipe).__name__
    if kind not in _ENLARGERS:
        raise UnsupportedError(
            f"{kind} enlarges no images.",
            hint="Load a model that does, such as stabilityai/stable-diffusion-x4-upscaler.",
        )
    return _ENLARGERS[kind]


def refuse_enlarger(pipe: Any, otherwise: str) -> None:
    """Refuse a pipeline that enlarges where another is wanted."""
    if (kind := type(pipe).__name__) in _ENLARGERS:
        raise UnsupportedError(
            f"{kind} enlarges images, and {otherwise}.", hint="Use upscale_image, or load another model."
        )


def padded(image: Picture, step: int) -> Picture:
    """The image with sides that are multiples of ``step``: its last row and column are repeated."""
    import numpy as np
    from PIL import Image as pillow

    more = -image.height % step, -image.width % step
    if more == (0, 0):
        return image
    return pillow.fromarray(np.pad(np.asarray(image), ((0, more[0]), (0, more[1]), (0, 0)), "edge"))
