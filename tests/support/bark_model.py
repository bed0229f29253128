"""Makes a tiny Bark checkpoint of random weights, with the real library: it babbles, but all of Bark's parts work.

``python bark_model.py FOLDER`` writes one.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LANGUAGES = "de en es fr hi it ja ko pl pt ru tr zh".split()
VOICES = tuple(f"v2/{language}_speaker_{n}" for language in LANGUAGES for n in range(10))

_SEMANTIC = 16  # kinds of semantic token; the next one ends a text, with a chance of about 1 in 17 a step
_CODES = 64  # entries of each of the codec's eight codebooks
_RATE_HZ = 49.9
_CHARACTERS = string.ascii_letters + string.digits + ".,;:!?'\"-()[]♪äöüßéèçñ" + "你好世界今天我们привет"


def make_bark(
    folder: Path,
    *,
    voices: Iterable[str] = VOICES,
    layers: int = 1,
    width: int = 32,
    longest: int = 768,
    shortest: int = 12,
    seed: int = 0,
) -> Path:
    """Write a checkpoint: configuration, weights as safetensors, tokenizer, generation settings, voices.

    Args:
        folder: where; made if need be.
        voices: names of the presets that it has.
        layers, width: of each of its three transformers.
        longest, shortest: semantic tokens that a text may become, 49.9 of them a second.
        seed: of the weights.
    """
    import torch
    from transformers import BarkConfig, BarkModel, EncodecConfig

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    text_offset = _SEMANTIC + 8
    text_end = text_offset + len(vocabulary)
    block: dict[str, Any] = {"num_layers": layers, "num_heads": 2, "hidden_size": width, "block_size": 1024}
    block["initializer_range"] = 0.1  # or else nothing that goes in makes a difference
    coarse_end = _SEMANTIC + 2 * _CODES
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BarkConfig(
            semantic_config={**block, "input_vocab_size": text_end + 2, "output_vocab_size": _SEMANTIC + 4},
            coarse_acoustics_config={
                **block, "input_vocab_size": coarse_end + 4, "output_vocab_size": coarse_end + 4,
            },
            fine_acoustics_config={
                **block, "input_vocab_size": _CODES + 1, "output_vocab_size": _CODES + 1, "n_codes_total": 8,
                "n_codes_given": 1,
            },
            codec_config=EncodecConfig(
                num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=_CODES, num_lstm_layers=1,
                target_bandwidths=[6.0],
            ).to_dict(),
        )  # fmt: skip
        model = BarkModel(config)
        for layer in model.codec_model.quantizer.layers:
            layer.codebook.embed.normal_()  # zeros at first, which are silence
    model.generation_config = _generation(text_offset, text_end, coarse_end, longest, shortest)
    model.save_pretrained(folder)
    _save_processor(folder, vocabulary, voices, seed)
    return folder


def _vocabulary() -> list[str]:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = list(dict.fromkeys(_CHARACTERS))
    return [*pieces, *characters, *(f"##{c}" for c in characters)]


def _generation(text_offset: int, text_end: int, coarse_end: int, longest: int, shortest: int) -> Any:
    from transformers import GenerationConfig

    # BarkGenerationConfig itself cannot be saved.
    sampled = {"do_sample": True, "temperature": 0.7}
    return GenerationConfig(
        semantic_config={
            **sampled, "eos_token_id": _SEMANTIC, "semantic_vocab_size": _SEMANTIC, "text_encoding_offset": text_offset,
            "text_pad_token": text_end, "semantic_infer_token": text_end + 1, "max_input_semantic_length": 256,
            "semantic_rate_hz": _RATE_HZ, "max_new_tokens": longest, "min_new_tokens": shortest,
        },
        coarse_acoustics_config={
            **sampled, "coarse_semantic_pad_token": coarse_end, "coarse_infer_token": coarse_end + 1,
            "coarse_rate_hz": 75, "n_coarse_codebooks": 2, "max_coarse_input_length": 256, "max_coarse_history": 630,
            "sliding_window_len": 60,
        },
        fine_acoustics_config={
            "temperature": 0.5, "max_fine_history_length": 64, "max_fine_input_length": 128, "n_fine_codebooks": 8,
        },
        sample_rate=24000,
        codebook_size=_CODES,
    )  # fmt: skip


def _save_processor(folder: Path, vocabulary: list[str], voices: Iterable[str], seed: int) -> None:
    import json

    import numpy as np
    from transformers import BertTokenizer

    BertTokenizer(vocab={piece: n for n, piece in enumerate(vocabulary)}, do_lower_case=False).save_pretrained(folder)
    numbers = np.random.default_rng(seed)
    table: dict[str, Any] = {"repo_or_path": str(folder)}
    for voice in voices:
        prompts = {
            "semantic_prompt": numbers.integers(0, _SEMANTIC, 40),
            "coarse_prompt": numbers.integers(0, _CODES, (2, 60)),
            "fine_prompt": numbers.integers(0, _CODES, (8, 60)),
        }
        table[voice] = {}
        for name, prompt in prompts.items():
            path = folder / "speaker_embeddings" / f"{voice}_{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, prompt, allow_pickle=False)
            table[voice][name] = path.relative_to(folder).as_posix()
    (folder / "speaker_embeddings_path.json").write_text(json.dumps(table), "utf-8")


if __name__ == "__main__":
    print(make_bark(Path(sys.argv[1])))
