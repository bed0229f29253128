"""A tiny XTTS checkpoint with random weights, in the layout of the real one (46 MB: two of its parts have one size)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPEAKERS = ("Ana Florence", "Viktor Eka")
SAMPLE_RATE = 24000
_CHANNELS = 64
_SPEAKER_CHANNELS = 512
_LATENTS = 32
_AUDIO_TOKENS = 66  # the last two start and stop
_LANGUAGES = ("en", "es", "fr", "de", "pt", "zh-cn", "ja")


def make_xtts_model(folder: Path, *, tokens: int = 24, seed: int = 1) -> Path:
    """Build a checkpoint and save it.

    Args:
        folder: where ``config.json``, ``model.pth``, ``vocab.json`` and ``speakers_xtts.pth`` go.
        tokens: what each sentence takes; one is 46 ms of sound. The weights never say stop by themselves.
        seed: of the weights.

    Returns:
        The folder.
    """
    import torch
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    _save_tokenizer(vocabulary, folder / "vocab.json")
    config = XttsConfig(
        languages=list(_LANGUAGES),
        temperature=0.75,
        model_args=XttsArgs(
            gpt_layers=2,
            gpt_n_model_channels=_CHANNELS,
            gpt_n_heads=2,
            gpt_max_audio_tokens=tokens + 3,
            gpt_number_text_tokens=len(vocabulary),
            gpt_start_text_token=vocabulary["[START]"],
            gpt_stop_text_token=vocabulary["[STOP]"],
            gpt_num_audio_tokens=_AUDIO_TOKENS,
            gpt_start_audio_token=_AUDIO_TOKENS - 2,
            gpt_stop_audio_token=_AUDIO_TOKENS - 1,
            gpt_use_perceiver_resampler=True,
            decoder_input_dim=_CHANNELS,
        ),
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = Xtts(config)
        model.gpt.mel_head.bias[-1] = -1e4
        # As they are made, these weights whisper below what 16 bits can hold.
        for layer in model.hifigan_decoder.waveform_decoder.ups:
            layer.parametrizations.weight.original0.mul_(6)
        speakers = {
            name: {
                "gpt_cond_latent": torch.randn(1, _LATENTS, _CHANNELS),
                "speaker_embedding": torch.nn.functional.normalize(torch.randn(1, _SPEAKER_CHANNELS, 1), dim=1),
            }
            for name in SPEAKERS
        }
        half = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
        torch.save({"model": half}, folder / "model.pth")
    torch.save(speakers, folder / "speakers_xtts.pth")
    config.save_json(folder / "config.json")
    return folder


def _vocabulary() -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789'.,;:!?-"
    names = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{name}]" for name in _LANGUAGES), *letters, "[START]"]
    return {name: number for number, name in enumerate(names)}


def _save_tokenizer(vocabulary: dict[str, int], path: Path) -> None:
    special = [name for name in vocabulary if name.startswith("[")]
    flags: dict[str, Any] = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    saved = {
        "version": "1.0",
        "added_tokens": [{"id": vocabulary[n], "special": True, "content": n, **flags} for n in special],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": vocabulary, "merges": []},
    }
    path.write_text(json.dumps(saved), "utf-8")
