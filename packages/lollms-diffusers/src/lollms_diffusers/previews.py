"""What an image looks like before it is done: its latents, decoded."""

from __future__ import annotations

from typing import Any

from lollms_modalities import Image, UnsupportedError


def preview(pipe: Any, latents: Any, width: int | None, height: int | None) -> Image:
    """The first image of a batch as far as it is drawn.

    Args:
        latents: of shape (n, channels, h, w), or packed as Flux packs them, (n, h * w / 4, 4 * channels).
        width, height: in pixels; None for the pipeline's own.

    Raises:
        UnsupportedError: this pipeline's latents are of another kind.
    """
    import torch

    vae = getattr(pipe, "vae", None)
    latents = None if latents is None else latents[:1]
    if latents is not None and latents.ndim == 3 and hasattr(pipe, "_unpack_latents"):
        factor = pipe.vae_scale_factor
        side = pipe.default_sample_size * factor
        latents = pipe._unpack_latents(latents, height or side, width or side, factor)
    if latents is None or vae is None or latents.ndim not in (4, 5):
        raise UnsupportedError(f"{type(pipe).__name__} shows no previews.", hint="Leave preview_every out.")
    config = vae.config
    scale = getattr(config, "scaling_factor", None) or 1.0
    mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    before = vae.dtype
    if before == torch.float16 and getattr(config, "force_upcast", False):
        vae.to(dtype=torch.float32)  # half precision overflows in such a decoder
    try:
        latents = latents.to(vae.dtype)
        if mean is not None and std is not None:
            shape = (1, -1, *[1] * (latents.ndim - 2))
            latents = latents * latents.new_tensor(std).view(shape) / scale + latents.new_tensor(mean).view(shape)
        else:
            latents = latents / scale + (getattr(config, "shift_factor", None) or 0.0)
        with torch.no_grad():
            decoded = vae.decode(latents, return_dict=False)[0]
    finally:
        if vae.dtype != before:
            vae.to(dtype=before)
    if decoded.ndim == 5:  # an autoencoder of videos, of one frame
        decoded = decoded[:, :, 0]
    return Image.from_pil(pipe.image_processor.postprocess(decoded.float(), output_type="pil")[0])
