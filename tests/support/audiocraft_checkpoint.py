"""Makes a tiny MusicGen checkpoint of random weights in audiocraft's own layout, with the real library.

It runs where audiocraft is installed: ``python audiocraft_checkpoint.py FOLDER [HUB_CACHE]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

RATE = 32000
FRAME_RATE = 10  # 50 in the published models
_CODES = 64
_CODEBOOKS = 4
_T5 = "t5-small"  # the smallest that audiocraft takes


def make_checkpoint(
    folder: Path, *, channels: int = 1, window: float = 20.0, hub_cache: Path | None = None, seed: int = 0
) -> Path:
    """Write ``state_dict.bin`` and ``compression_state_dict.bin``.

    Args:
        folder: where; made if need be.
        channels: 1, or 2 for a stereo model.
        window: seconds that it makes at once; 30 in the published models. audiocraft wants more than 18.
        hub_cache: the folder that ``HF_HUB_CACHE`` names, also in this process: the model's text encoder is then T5, as
            in the published ones, which audiocraft loads from there by name; a tiny one is written. Without it the text
            encoder is a table of words.
        seed: of the weights.
    """
    import warnings

    import torch
    from audiocraft.models import builders
    from omegaconf import OmegaConf

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, about how the codec is built
        torch.manual_seed(seed)
        if hub_cache is not None:
            _write_t5(hub_cache)
        codec_config = OmegaConf.create(_codec())
        codec = builders.get_compression_model(codec_config)
        for part, louder in ((codec.encoder, 2.0), (codec.decoder, 1.5)):
            for name, parameter in part.named_parameters():
                if name.endswith("weight_g"):
                    parameter.data.mul_(louder)  # as they are, all sounds have the same codes
        for layer in codec.quantizer.vq.layers:
            layer._codebook.embed.normal_()
            layer._codebook.inited.fill_(1)
        config = OmegaConf.create(_language_model(channels, window, t5=hub_cache is not None))
        model = builders.get_lm_model(config)
        for parameter in model.transformer.parameters():
            parameter.data.mul_(4)  # as they are, all codes are equally likely whatever the prompt
    for name, cfg, module in (("state_dict", config, model), ("compression_state_dict", codec_config, codec)):
        torch.save({"xp.cfg": OmegaConf.to_yaml(cfg), "best_state": module.state_dict()}, folder / f"{name}.bin")
    return folder


def _codec() -> dict[str, Any]:
    return {
        "compression_model": "encodec",
        "encodec": {
            "autoencoder": "seanet", "quantizer": "rvq", "sample_rate": RATE, "channels": 1, "causal": False,
            "renormalize": False,
        },
        "seanet": {
            "dimension": 16, "channels": 1, "n_filters": 4, "n_residual_layers": 1, "ratios": [8, 8, 10, 5], "lstm": 1,
            "norm": "weight_norm", "encoder": {}, "decoder": {},
        },
        "rvq": {"n_q": _CODEBOOKS, "bins": _CODES},
        "device": "cpu",
    }  # fmt: skip


def _language_model(channels: int, window: float, *, t5: bool) -> dict[str, Any]:
    codebooks = _CODEBOOKS * channels
    text: dict[str, Any] = {"model": "lut", "lut": {"n_bins": 128, "dim": 32, "tokenizer": "whitespace"}}
    if t5:
        text = {"model": "t5", "t5": {"name": _T5, "finetune": False, "word_dropout": 0.2, "normalize_text": False}}
    return {
        "lm_model": "transformer_lm",
        "transformer_lm": {
            "n_q": codebooks, "card": _CODES, "dim": 32, "num_heads": 4, "num_layers": 2, "hidden_scale": 2,
            "causal": True, "norm_first": True, "bias_proj": False, "memory_efficient": True,
        },
        "codebooks_pattern": {
            "modeling": "delay",
            "delay": {"delays": [n // channels for n in range(codebooks)], "flatten_first": 0, "empty_initial": 0},
        },
        "attribute_dropout": {},
        "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
        "fuser": {"cross": ["description"], "sum": [], "prepend": [], "input_interpolate": []},
        "conditioners": {"description": text},
        "dataset": {"segment_duration": window},
        "interleave_stereo_codebooks": {"use": channels == 2, "per_timestep": False},
        "device": "cpu",
        "dtype": "float32",
    }  # fmt: skip


def _write_t5(hub_cache: Path) -> None:
    """A tiny T5 under the name of one of the hub's, where the hub's client looks for what it has fetched before."""
    from musicgen_model import make_tokenizer
    from transformers import T5Config, T5EncoderModel

    repository = hub_cache / f"models--{_T5}"
    folder = repository / "snapshots" / "0"
    folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text("0", "utf-8")
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    T5EncoderModel(
        T5Config(vocab_size=len(tokenizer), d_model=512, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ).save_pretrained(folder)


if __name__ == "__main__":
    print(make_checkpoint(Path(sys.argv[1]), hub_cache=Path(sys.argv[2]) if len(sys.argv) > 2 else None))
