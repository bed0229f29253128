"""SDXL and Flux.1, of the sizes of stabilityai/stable-diffusion-xl-base-1.0 and black-forest-labs/FLUX.1-dev."""

from __future__ import annotations

from pathlib import Path

from gpu.models.parts import autoencoder, clip, made_on, t5


def sdxl(folder: Path, device: str) -> None:
    """Stable Diffusion XL: 2.6 billion numbers in its U-Net, 1024x1024."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    with made_on(device):
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280), layers_per_block=2, sample_size=128, in_channels=4, out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(5, 10, 20),
            transformer_layers_per_block=(1, 2, 10), cross_attention_dim=2048, addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816, use_linear_projection=True,
        ).eval()  # fmt: skip
        tokenizer, text_encoder = clip()
        tokenizer_2, text_encoder_2 = clip(large=True)
        vae = autoencoder(latent_channels=4, scaling_factor=0.13025, force_upcast=True)
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )
    StableDiffusionXLPipeline(
        vae=vae, text_encoder=text_encoder, text_encoder_2=text_encoder_2, tokenizer=tokenizer,
        tokenizer_2=tokenizer_2, unet=unet, scheduler=scheduler,
    ).save_pretrained(folder)  # fmt: skip


def flux(folder: Path, device: str) -> None:
    """Flux.1: 12 billion numbers in its transformer, 1024x1024."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    with made_on(device):
        transformer = FluxTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=19, num_single_layers=38, attention_head_dim=128,
            num_attention_heads=24, joint_attention_dim=4096, pooled_projection_dim=768, axes_dims_rope=(16, 56, 56),
            guidance_embeds=True,
        ).eval()  # fmt: skip
        tokenizer, text_encoder = clip()
        tokenizer_2, text_encoder_2 = t5()
        vae = autoencoder(
            latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1159,
            scaling_factor=0.3611,
        )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256,
        max_image_seq_len=4096,
    )  # fmt: skip
    FluxPipeline(
        scheduler=scheduler, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2, transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
