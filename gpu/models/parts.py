"""Parts of models of images and films, of published sizes, in half precision and with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def made_on(device: str, dtype: Any = None) -> Iterator[None]:
    """Inside, what is made is made on a device in bfloat16: twelve billion numbers in a second, and not in minutes."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype or torch.bfloat16)
    try:
        with torch.device(device):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)


def clip(*, large: bool = False) -> tuple[Any, Any]:
    """CLIP's tokenizer, of letters, and one of two encoders: ViT-L/14's, or OpenCLIP's bigG with its projection."""
    from diffusers_models import _clip_tokenizer  # type: ignore[import-not-found, unused-ignore]
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = _clip_tokenizer()
    sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
             "projection_dim": 768, "hidden_act": "quick_gelu"}  # fmt: skip
    if large:
        sizes = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
                 "projection_dim": 1280, "hidden_act": "gelu"}  # fmt: skip
    marks = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = CLIPTextConfig(vocab_size=49_408, max_position_embeddings=77, **sizes, **marks)
    return tokenizer, (CLIPTextModelWithProjection if large else CLIPTextModel)(config).eval()


def t5(*, umt5: bool = False) -> tuple[Any, Any]:
    """T5's tokenizer, of letters, and the encoder of T5 v1.1 XXL, or of UMT5 XXL."""
    from diffusers_models import t5_encoder
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    tokenizer, _ = t5_encoder(umt5=umt5)
    config = (UMT5Config if umt5 else T5Config)(
        vocab_size=256_384 if umt5 else 32_128, d_model=4096, d_kv=64, d_ff=10_240, num_layers=24, num_heads=64,
        pad_token_id=0, eos_token_id=1, feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return tokenizer, (UMT5EncoderModel if umt5 else T5EncoderModel)(config).eval()


def autoencoder(**more: Any) -> Any:
    """The autoencoder of SDXL and of Flux: eight pixels are one latent."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=1024,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, **more,
    ).eval()  # fmt: skip
