"""Makers of tiny checkpoints for diffusers: real pipelines with random weights, made from their configs and saved.

``python tests/support/diffusers_models.py FOLDER`` makes one of each kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def _clip_tokenizer() -> Any:
    """Letters for tokens: every word is so many of them, as in CLIP's own, which has 77 places."""
    from transformers import CLIPTokenizer

    letters = [chr(n) for n in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: n for n, token in enumerate(tokens)},
        merges=[],
        model_max_length=77,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )


def _clip_text(tokenizer: Any, hidden: int = 32, *, projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=37, projection_dim=hidden, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5_encoder(*, umt5: bool = False) -> tuple[Any, Any]:
    """T5's tokenizer (one letter, one token) and a tiny encoder."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer, UMT5Config, UMT5EncoderModel

    letters = ["▁", *(chr(n) for n in range(33, 127))]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -2.0) for letter in letters)]
    tokenizer = T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=512)
    config = (UMT5Config if umt5 else T5Config)(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, pad_token_id=0,
        eos_token_id=1, feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return tokenizer, (UMT5EncoderModel if umt5 else T5EncoderModel)(config).eval()


def autoencoder(latent_channels: int = 4, **more: Any) -> Any:
    """An autoencoder that halves each side."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16), in_channels=3, out_channels=3, norm_num_groups=4, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels, **more,
    ).eval()  # fmt: skip


def _unet(**more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    kinds = {"cross_attention_dim": 32, "attention_head_dim": 4, "in_channels": 4, **more}
    return UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=32, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4, **kinds,
    ).eval()  # fmt: skip


def _euler() -> Any:
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1, timestep_spacing="leading"
    )


def stable_diffusion(folder: Path, *, checker: bool = False, variant: str | None = None, **saving: Any) -> Path:
    """Stable Diffusion: 64x64; ``checker`` gives it a safety checker that finds fault with everything."""
    from diffusers import StableDiffusionPipeline

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(),
        scheduler=_euler(),
        safety_checker=_checker() if checker else None,
        feature_extractor=_feature_extractor() if checker else None,
        requires_safety_checker=checker,
    ).save_pretrained(folder, variant=variant, **saving)
    return folder


def _checker() -> Any:
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    config = CLIPConfig(
        text_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 30, "patch_size": 15,
        },
        projection_dim=16,
    )  # fmt: skip
    checker = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2.0)  # nothing is so unlike a concept
    return checker.eval()


def _feature_extractor() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size=30, crop_size=30)


def stable_diffusion_xl(folder: Path) -> Path:
    """Stable Diffusion XL: 64x64."""
    from diffusers import StableDiffusionXLPipeline

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    unet = _unet(
        cross_attention_dim=64, attention_head_dim=(2, 4), use_linear_projection=True,
        transformer_layers_per_block=(1, 2), addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=32 + 6 * 8,
    )  # fmt: skip
    StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=_clip_text(tokenizer),
        text_encoder_2=_clip_text(tokenizer, projection=True),
        tokenizer=tokenizer,
        tokenizer_2=_clip_tokenizer(),
        unet=unet,
        scheduler=_euler(),
    ).save_pretrained(folder)
    return folder


def latent_consistency(folder: Path) -> Path:
    """A latent consistency model: 64x64, few steps, no negative prompt."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    LatentConsistencyModelPipeline(
        vae=autoencoder(),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(time_cond_proj_dim=16),
        scheduler=LCMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def pixart(folder: Path) -> Path:
    """PixArt: its pipeline tells nobody of its steps."""
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    torch.manual_seed(0)
    tokenizer, text_encoder = t5_encoder()
    transformer = PixArtTransformer2DModel(
        sample_size=32, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, attention_bias=True, activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000, norm_type="ada_norm_single", norm_elementwise_affine=False, norm_eps=1e-6,
        use_additional_conditions=False,
    )  # fmt: skip
    PixArtSigmaPipeline(
        transformer=transformer.eval(), vae=autoencoder(), text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def lora(model: Path, folder: Path, seed: int = 1) -> Path:
    """A LoRA for the Stable Diffusion in ``model``: one file in ``folder``."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = StableDiffusionPipeline.from_pretrained(model, local_files_only=True)
    torch.manual_seed(seed)
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"], init_lora_weights=False))
    pipe.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    return folder / "pytorch_lora_weights.safetensors"


def flux(folder: Path) -> Path:
    """Flux: 64x64, flow matching, latents in packs of two by two, guidance in place of a negative prompt."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    torch.manual_seed(0)
    tokenizer, (tokenizer_2, text_encoder_2) = _clip_tokenizer(), t5_encoder()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(4, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        transformer=transformer.eval(),
    ).save_pretrained(folder)
    return folder


def ltx(folder: Path) -> Path:
    """LTX video: sides in steps of 32, frames in steps of 8 and one more."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    torch.manual_seed(0)
    tokenizer, text_encoder = t5_encoder()
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=4, attention_head_dim=8,
        cross_attention_dim=32, num_layers=1, caption_channels=32,
    )  # fmt: skip
    vae = AutoencoderKLLTXVideo(
        in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1), spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False), decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4, upsample_factor=(1,) * 4, timestep_conditioning=False, patch_size=4,
        patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    vae.use_framewise_encoding = vae.use_framewise_decoding = False
    LTXPipeline(
        transformer=transformer.eval(), vae=vae.eval(), text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _gemma() -> tuple[Any, Any]:
    """Gemma 3's tokenizer (one letter, one token) and a tiny model of it."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, GemmaTokenizer

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *(chr(n) for n in range(33, 127))]
    tokenizer = GemmaTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[], model_max_length=64)
    size = len(tokenizer)
    config = Gemma3Config(
        text_config={
            "vocab_size": size, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 128,
            "sliding_window": 32, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
        },
        vision_config={
            "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 28, "patch_size": 14,
        },
        mm_tokens_per_image=4, image_token_index=size - 1, boi_token_index=size - 2, eoi_token_index=size - 3,
    )  # fmt: skip
    return tokenizer, Gemma3ForConditionalGeneration(config).eval()


def ltx_2(folder: Path) -> Path:
    """LTX-2 video with sound in stereo at 16 kHz: sides in steps of 8, frames in steps of 2 and one more."""
    from diffusers import (
        AutoencoderKLLTX2Audio,
        AutoencoderKLLTX2Video,
        FlowMatchEulerDiscreteScheduler,
        LTX2Pipeline,
        LTX2VideoTransformer3DModel,
    )
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    torch.manual_seed(0)
    tokenizer, text_encoder = _gemma()
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        audio_in_channels=4, audio_out_channels=4, audio_num_attention_heads=2, audio_attention_head_dim=4,
        audio_cross_attention_dim=8, num_layers=2, caption_channels=16, rope_double_precision=False, rope_type="split",
    )  # fmt: skip
    connectors = LTX2TextConnectors(
        caption_channels=16, text_proj_in_factor=3, video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=4, video_connector_num_layers=1,
        video_connector_num_learnable_registers=None, audio_connector_num_attention_heads=4,
        audio_connector_attention_head_dim=4, audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None, connector_rope_base_seq_len=32, rope_double_precision=False,
        rope_type="split",
    )  # fmt: skip
    vae = AutoencoderKLLTX2Video(
        latent_channels=4, block_out_channels=(8,), down_block_types=("LTX2VideoDownBlock3D",),
        decoder_block_out_channels=(8,), layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,), decoder_spatio_temporal_scaling=(True,), decoder_inject_noise=(False, False),
        downsample_type=("spatiotemporal",), upsample_type=("spatiotemporal",), upsample_residual=(False,),
        upsample_factor=(1,), patch_size=4, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1,), num_res_blocks=1, resolution=32, latent_channels=2, mel_bins=8
    )
    vocoder = LTX2Vocoder(
        in_channels=16, hidden_channels=32, upsample_kernel_sizes=[20, 32], upsample_factors=[10, 16],
        resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]], output_sampling_rate=16000,
    )  # fmt: skip
    LTX2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae.eval(), audio_vae=audio_vae.eval(),
        text_encoder=text_encoder, tokenizer=tokenizer, connectors=connectors.eval(), transformer=transformer.eval(),
        vocoder=vocoder.eval(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def upscaler(folder: Path) -> Path:
    """Stable Diffusion's upscaler: 4 times."""
    from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    unet = _unet(num_class_embeds=1000, only_cross_attention=(True, False), use_linear_projection=True, in_channels=7)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16), in_channels=3, out_channels=3, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4,
    )  # fmt: skip
    StableDiffusionUpscalePipeline(
        vae=vae.eval(), text_encoder=_clip_text(tokenizer), tokenizer=tokenizer, unet=unet,
        low_res_scheduler=DDPMScheduler(), scheduler=DDIMScheduler(prediction_type="v_prediction"),
        max_noise_level=350,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def latent_upscaler(folder: Path) -> Path:
    """Stable Diffusion's latent upscaler: 2 times."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionLatentUpscalePipeline,
        UNet2DConditionModel,
    )

    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    unet = UNet2DConditionModel(
        act_fn="gelu", attention_head_dim=8, norm_num_groups=None, block_out_channels=[32, 32, 64, 64],
        time_cond_proj_dim=160, conv_in_kernel=1, conv_out_kernel=1, cross_attention_dim=32,
        down_block_types=("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3), in_channels=8, mid_block_type=None,
        only_cross_attention=False, out_channels=5, resnet_time_scale_shift="scale_shift",
        time_embedding_type="fourier", timestep_post_act="gelu",
        up_block_types=(*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 16), in_channels=3, out_channels=3, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4,
    )  # fmt: skip
    StableDiffusionLatentUpscalePipeline(
        vae=vae.eval(), text_encoder=_clip_text(tokenizer), tokenizer=tokenizer, unet=unet.eval(),
        scheduler=EulerDiscreteScheduler(prediction_type="sample"),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def wan(folder: Path, *, from_images: bool = False) -> Path:
    """Wan video: sides in steps of 16, frames in steps of 4 and one more; the kind that also begins with images, or not."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

    torch.manual_seed(0)
    tokenizer, text_encoder = t5_encoder(umt5=True)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )  # fmt: skip
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    WanPipeline(
        transformer=transformer.eval(), vae=vae.eval(), text_encoder=text_encoder, tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0), expand_timesteps=from_images,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def qwen_tokenizer() -> Any:
    """Bytes for tokens, and the words that Qwen has for turns of talk and for images."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    words = ["endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad"]
    marks = [f"<|{word}|>" for word in words]
    vocab = {token: n for n, token in enumerate([*sorted(ByteLevel.alphabet()), *marks])}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=[], additional_special_tokens=marks[1:])
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    return tokenizer


def _oobleck(*, rate: int, latents: int = 4) -> Any:
    """An autoencoder of sound in stereo: 40 samples are one latent."""
    from diffusers import AutoencoderOobleck

    return AutoencoderOobleck(
        encoder_hidden_size=2 * latents, downsampling_ratios=[4, 10], channel_multiples=[1, 2], decoder_channels=4,
        decoder_input_channels=latents, audio_channels=2, sampling_rate=rate,
    ).eval()  # fmt: skip


def ace_step(folder: Path) -> Path:
    """ACE-Step 1.5: songs in stereo at 4 kHz."""
    from diffusers import AceStepPipeline, AceStepTransformer1DModel, FlowMatchEulerDiscreteScheduler
    from diffusers.pipelines.ace_step import AceStepConditionEncoder
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=4096,
        )
    )  # fmt: skip
    common = {
        "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
    }  # fmt: skip
    transformer = AceStepTransformer1DModel(
        **common, num_hidden_layers=2, in_channels=12, audio_acoustic_hidden_dim=4, patch_size=2
    )
    encoder = AceStepConditionEncoder(
        **common, text_hidden_dim=16, timbre_hidden_dim=4, num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
    )  # fmt: skip
    AceStepPipeline(
        vae=_oobleck(rate=4000), text_encoder=text_encoder.eval(), tokenizer=tokenizer, transformer=transformer.eval(),
        condition_encoder=encoder.eval(), scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def stable_audio(folder: Path) -> Path:
    """Stable Audio: sounds in stereo at 4 kHz, of at most 10 s."""
    from diffusers import EDMDPMSolverMultistepScheduler, StableAudioDiTModel, StableAudioPipeline
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    torch.manual_seed(0)
    tokenizer, text_encoder = t5_encoder()
    transformer = StableAudioDiTModel(
        sample_size=1000, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=2,
        num_key_value_attention_heads=2, out_channels=4, cross_attention_dim=8, time_proj_dim=8,
        global_states_input_dim=16, cross_attention_input_dim=8,
    )  # fmt: skip
    StableAudioPipeline(
        vae=_oobleck(rate=4000), text_encoder=text_encoder, tokenizer=tokenizer, transformer=transformer.eval(),
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=32, conditioning_dim=8, min_value=0, max_value=10
        ).eval(),
        scheduler=EDMDPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def audioldm_2(folder: Path) -> Path:
    """AudioLDM 2: sounds, mono, at 4 kHz."""
    from diffusers import (
        AudioLDM2Pipeline,
        AudioLDM2ProjectionModel,
        AudioLDM2UNet2DConditionModel,
        AutoencoderKL,
        DDIMScheduler,
    )
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        GPT2Config,
        GPT2LMHeadModel,
        RobertaTokenizer,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    torch.manual_seed(0)
    tokenizer_2, text_encoder_2 = t5_encoder()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocab = {token: n for n, token in enumerate([*marks, *sorted(ByteLevel.alphabet())])}
    tokenizer = RobertaTokenizer(vocab=vocab, merges=[], model_max_length=64)
    text = {
        "vocab_size": len(vocab), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 80, "pad_token_id": 1, "projection_dim": 8,
    }  # fmt: skip
    audio = {
        "spec_size": 64, "window_size": 4, "num_mel_bins": 64, "depths": [1, 1], "num_attention_heads": [1, 1],
        "num_hidden_layers": 2, "hidden_size": 16, "patch_size": 2, "patch_stride": 2, "patch_embeds_hidden_size": 8,
        "projection_dim": 8,
    }  # fmt: skip
    clap = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8))
    vae = AutoencoderKL(
        block_out_channels=(8, 16), in_channels=1, out_channels=1, norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    unet = AudioLDM2UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=[[None, 16, 32], [None, 16, 32]], attention_head_dim=2,
    )  # fmt: skip
    vocoder = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=8, sampling_rate=4000, upsample_initial_channel=16, upsample_rates=[2, 2],
            upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3, 7], resblock_dilation_sizes=[[1, 3, 5]] * 2,
            normalize_before=False,
        )
    )  # fmt: skip
    for weights in vocoder.parameters():  # which begin so small that all is silence
        torch.nn.init.normal_(weights, std=0.2)
    AudioLDM2Pipeline(
        vae=vae.eval(), text_encoder=clap.eval(), text_encoder_2=text_encoder_2,
        projection_model=AudioLDM2ProjectionModel(
            text_encoder_dim=8, text_encoder_1_dim=32, langauge_model_dim=16
        ).eval(),
        language_model=GPT2LMHeadModel(
            GPT2Config(n_embd=16, n_head=2, n_layer=1, n_inner=16, vocab_size=8, n_positions=700, max_new_tokens=4, eos_token_id=None, bos_token_id=None)
        ).eval(),
        tokenizer=tokenizer, tokenizer_2=tokenizer_2, feature_extractor=ClapFeatureExtractor(feature_size=64),
        unet=unet.eval(), scheduler=DDIMScheduler(), vocoder=vocoder.eval(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def flux_2(folder: Path) -> Path:
    """Flux 2 klein: 64x64; it draws, and changes several images into one."""
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=27,  # of which it reads three
            num_attention_heads=2, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
        )
    )  # fmt: skip
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, timestep_guidance_channels=256, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False,
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4, sample_size=64,
        layers_per_block=1,
    )  # fmt: skip
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae.eval(), text_encoder=text_encoder.eval(),
        tokenizer=tokenizer, transformer=transformer.eval(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def qwen_edit() -> Any:
    """Qwen-Image-Edit of the kind that takes several images, in memory: it draws nothing from text alone.

    Its own processor wants torchvision, which no environment here has: ``QwenProcessor`` stands in for it.
    """
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    number = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": 0,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1000000.0},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "fullatt_block_indexes": [1],
        },
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    pipe = QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=4, z_dim=4, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False],
            latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
        ).eval(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer,
        processor=QwenProcessor(tokenizer),
        transformer=QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=16, axes_dims_rope=(4, 6, 6), guidance_embeds=False,
        ).eval(),
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


class QwenProcessor:
    """Does what ``Qwen2VLProcessor`` does with text and images: a token for each patch of an image."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        self.tokenizer = tokenizer
        self.images = Qwen2VLImageProcessorPil()

    def __call__(self, text: list[str], images: list[Any], **kwargs: Any) -> Any:
        seen = self.images(images=images, return_tensors="pt")
        pad = "<|image_pad|>"
        for grid in seen["image_grid_thw"]:
            text = [one.replace(pad, "<|seen|>" * (int(grid.prod()) // self.images.merge_size**2), 1) for one in text]
        read = self.tokenizer([one.replace("<|seen|>", pad) for one in text], padding=True, return_tensors="pt")
        read.update(seen)
        return read


MAKERS: dict[str, Callable[[Path], Path]] = {
    "sd": stable_diffusion, "sdxl": stable_diffusion_xl, "flux": flux, "lcm": latent_consistency, "pixart": pixart,
    "ltx": ltx, "ltx2": ltx_2, "wan": wan, "flux2": flux_2, "upscaler": upscaler, "latent_upscaler": latent_upscaler,
    "ace_step": ace_step, "stable_audio": stable_audio, "audioldm2": audioldm_2,
}  # fmt: skip


if __name__ == "__main__":
    for name, make in MAKERS.items():
        print(make(Path(sys.argv[1]) / name))
