"""Wan 2.1 and LTX-Video, of the sizes of Wan-AI/Wan2.1-T2V-1.3B-Diffusers and Lightricks/LTX-Video."""

from __future__ import annotations

from pathlib import Path

from gpu.models.parts import made_on, t5


def wan(folder: Path, device: str) -> None:
    """Wan 1.3B: 480x832, frames in steps of 4 and one more."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

    with made_on(device):
        transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=12, attention_head_dim=128, in_channels=16, out_channels=16,
            text_dim=4096, freq_dim=256, ffn_dim=8960, num_layers=30, cross_attn_norm=True,
            qk_norm="rms_norm_across_heads", rope_max_seq_len=1024,
        ).eval()  # fmt: skip
        tokenizer, text_encoder = t5(umt5=True)
        vae = AutoencoderKLWan(
            base_dim=96, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, temperal_downsample=[False, True, True]
        ).eval()
    WanPipeline(
        transformer=transformer, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip


def ltx(folder: Path, device: str) -> None:
    """LTX-Video, of 1.9 billion numbers: sides in steps of 32, frames in steps of 8 and one more."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    with made_on(device):
        transformer = LTXVideoTransformer3DModel(
            in_channels=128, out_channels=128, patch_size=1, patch_size_t=1, num_attention_heads=32,
            attention_head_dim=64, cross_attention_dim=2048, num_layers=28, caption_channels=4096,
        ).eval()  # fmt: skip
        tokenizer, text_encoder = t5()
        vae = AutoencoderKLLTXVideo().eval()  # whose own sizes are the published ones
    LTXPipeline(
        transformer=transformer, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=1.0, use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024,
            max_image_seq_len=4096,
        ),
    ).save_pretrained(folder)  # fmt: skip
