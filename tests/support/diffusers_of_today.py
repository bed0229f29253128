"""Tiny checkpoints of the models that lists name today: Z-Image, Qwen-Image, Wan 2.2 of both kinds, HunyuanVideo 1.5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers_models import autoencoder, qwen_tokenizer, t5_encoder

_QWEN: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 0,
    "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1000000.0},
}  # fmt: skip


def z_image(folder: Path) -> Path:
    """Z-Image: sides in steps of 8."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=2, head_dim=8,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512,
        )
    )  # fmt: skip
    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    with torch.no_grad():  # what fills up is whatever memory held
        transformer.x_pad_token.fill_(1)
        transformer.cap_pad_token.fill_(1)
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder(4, shift_factor=0.1, scaling_factor=0.36),
        text_encoder=text_encoder.eval(), tokenizer=tokenizer, transformer=transformer.eval(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def qwen_image(folder: Path) -> Path:
    """Qwen-Image, which draws: sides in steps of 8, heeds a negative prompt by true_cfg_scale."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    number = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={**_QWEN, "vocab_size": len(tokenizer)},
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "fullatt_block_indexes": [0],
        },
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=4, z_dim=4, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False],
            latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
        ).eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(), tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=16, axes_dims_rope=(4, 6, 6), guidance_embeds=False,
        ).eval(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def wan_22(folder: Path) -> Path:
    """Wan 2.2 A14B: one transformer for the steps with much noise, another for those with little."""
    return _wan(folder, latents=16, transformers=2, boundary_ratio=0.875)


def wan_22_5b(folder: Path) -> Path:
    """Wan 2.2 TI2V-5B: an autoencoder that makes each side 16 times smaller; it also begins with images."""
    more: dict[str, Any] = {
        "in_channels": 12, "out_channels": 12, "is_residual": True, "patch_size": 2, "latents_mean": [0.0] * 48,
        "latents_std": [1.0] * 48, "scale_factor_spatial": 16, "scale_factor_temporal": 4,
    }  # fmt: skip
    return _wan(folder, latents=48, transformers=1, vae=more, expand_timesteps=True)


def _wan(folder: Path, *, latents: int, transformers: int, vae: dict[str, Any] | None = None, **config: Any) -> Path:
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

    torch.manual_seed(0)
    tokenizer, text_encoder = t5_encoder(umt5=True)
    made = [
        WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=latents,
            out_channels=latents, text_dim=32, freq_dim=256, ffn_dim=32, num_layers=1, cross_attn_norm=True,
            qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
        ).eval()
        for _ in range(transformers)
    ]  # fmt: skip
    WanPipeline(
        transformer=made[0], transformer_2=made[1] if transformers > 1 else None, text_encoder=text_encoder,
        vae=AutoencoderKLWan(
            base_dim=3, z_dim=latents, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
            temperal_downsample=[False, True, True], **(vae or {}),
        ).eval(),
        tokenizer=tokenizer, **config,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def hunyuan_15(folder: Path) -> Path:
    """HunyuanVideo 1.5: two text encoders; guidance is a part of the pipeline."""
    from diffusers import (
        AutoencoderKLHunyuanVideo15,
        FlowMatchEulerDiscreteScheduler,
        HunyuanVideo15Pipeline,
        HunyuanVideo15Transformer3DModel,
    )
    from diffusers.guiders import ClassifierFreeGuidance
    from transformers import ByT5Tokenizer, Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel, T5Config, T5EncoderModel

    torch.manual_seed(0)
    tokenizer, letters = qwen_tokenizer(), ByT5Tokenizer()
    t5_config = T5Config(
        vocab_size=len(letters), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    HunyuanVideo15Pipeline(
        transformer=HunyuanVideo15Transformer3DModel(
            in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1,
            num_refiner_layers=1, mlp_ratio=2.0, patch_size=1, patch_size_t=1, text_embed_dim=16, text_embed_2_dim=32,
            image_embed_dim=12, rope_axes_dim=(2, 2, 4), target_size=16, task_type="t2v",
        ).eval(),
        vae=AutoencoderKLHunyuanVideo15(
            in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(16, 16), layers_per_block=1,
            spatial_compression_ratio=4, temporal_compression_ratio=2, downsample_match_channel=False,
            upsample_match_channel=False,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**_QWEN, vocab_size=len(tokenizer))).eval(),
        tokenizer=tokenizer, text_encoder_2=T5EncoderModel(t5_config).eval(), tokenizer_2=letters,
        guider=ClassifierFreeGuidance(guidance_scale=4.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


IMAGES: dict[str, Callable[[Path], Path]] = {"z_image": z_image, "qwen_image": qwen_image}
FILMS: dict[str, Callable[[Path], Path]] = {"wan_22": wan_22, "wan_22_5b": wan_22_5b, "hunyuan_15": hunyuan_15}
