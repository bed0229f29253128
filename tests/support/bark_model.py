"""Makes a tiny Bark checkpoint of random weights, with the real library: it babbles, but all of Bark's parts work.

``python bark_model.py FOLDER`` writes one.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

LANGUAGES = "de en es fr hi it ja ko pl pt ru tr zh".split()
VOICES = tuple(f"v2/{language}_speaker_{n}" for language in LANGUAGES for n in range(10))

_RATE_HZ = 49.9
_CHARACTERS = string.ascii_letters + string.digits + ".,;:!?'\"-()[]♪äöüßéèçñ" + "你好世界今天我们привет"


class Sizes(NamedTuple):
    """What a checkpoint has of everything.

    Attributes:
        layers, width, heads: of each of its three transformers.
        semantic: kinds of semantic token; the next one ends a text.
        codes: entries of each of the codec's eight codebooks.
        words: entries of the table of texts, where there are more than the tokenizer has.
        fine_history, fine_input: codes that the fine stage sees.
        codec: of ``EncodecConfig``, what is not as published.
        spread: of the weights at first.
        ends: how likely the end of a text must be, at least, for it to end there; None leaves it to chance.
    """

    layers: int = 1
    width: int = 32
    heads: int = 2
    semantic: int = 16  # so that the end has a chance of about 1 in 17 a step
    codes: int = 64
    words: int = 0
    fine_history: int = 64
    fine_input: int = 128
    codec: tuple[tuple[str, Any], ...] = (
        ("num_filters", 4), ("hidden_size", 16), ("codebook_dim", 16), ("codebook_size", 64), ("num_lstm_layers", 1),
        ("target_bandwidths", [6.0]),
    )  # fmt: skip
    spread: float = 0.1  # with less, nothing that goes in makes a difference to a tiny model
    ends: float | None = None


TINY = Sizes()


def make_bark(
    folder: Path,
    *,
    voices: Iterable[str] = VOICES,
    layers: int | None = None,
    width: int | None = None,
    longest: int = 768,
    shortest: int = 12,
    seed: int = 0,
    sizes: Sizes = TINY,
    device: str = "cpu",
) -> Path:
    """Write a checkpoint: configuration, weights as safetensors, tokenizer, generation settings, voices.

    Args:
        folder: where; made if need be.
        voices: names of the presets that it has.
        layers, width: of each of its three transformers, where not as ``sizes`` says.
        longest, shortest: semantic tokens that a text may become, 49.9 of them a second.
        seed: of the weights.
        sizes: of all that the model has.
        device: on which it is made.
    """
    import torch
    from transformers import BarkConfig, BarkModel, EncodecConfig

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    semantic, codes = sizes.semantic, sizes.codes
    text_offset = semantic + 8
    text_end = text_offset + len(vocabulary)
    block: dict[str, Any] = {
        "num_layers": layers or sizes.layers, "num_heads": sizes.heads, "hidden_size": width or sizes.width,
        "block_size": 1024, "initializer_range": sizes.spread,
    }  # fmt: skip
    coarse_end = semantic + 2 * codes
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        config = BarkConfig(
            semantic_config={
                **block, "input_vocab_size": max(text_end + 2, sizes.words), "output_vocab_size": semantic + 4,
            },
            coarse_acoustics_config={
                **block, "input_vocab_size": coarse_end + 4, "output_vocab_size": coarse_end + 4,
            },
            fine_acoustics_config={
                **block, "input_vocab_size": codes + 1, "output_vocab_size": codes + 1, "n_codes_total": 8,
                "n_codes_given": 1,
            },
            codec_config=EncodecConfig(**dict(sizes.codec)).to_dict(),
        )  # fmt: skip
        model = BarkModel(config)
        for layer in model.codec_model.quantizer.layers:
            layer.codebook.embed.normal_()  # zeros at first, which are silence
    model.generation_config = _generation(sizes, text_offset, text_end, coarse_end, longest, shortest)
    model.save_pretrained(folder)
    _save_processor(folder, vocabulary, voices, seed, sizes)
    return folder


def _vocabulary() -> list[str]:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = list(dict.fromkeys(_CHARACTERS))
    return [*pieces, *characters, *(f"##{c}" for c in characters)]


def _generation(sizes: Sizes, text_offset: int, text_end: int, coarse_end: int, longest: int, shortest: int) -> Any:
    from transformers import GenerationConfig

    # BarkGenerationConfig itself cannot be saved.
    sampled = {"do_sample": True, "temperature": 0.7}
    return GenerationConfig(
        semantic_config={
            **sampled, "eos_token_id": sizes.semantic, "semantic_vocab_size": sizes.semantic, "text_encoding_offset": text_offset,
            "text_pad_token": text_end, "semantic_infer_token": text_end + 1, "max_input_semantic_length": 256,
            "semantic_rate_hz": _RATE_HZ, "max_new_tokens": longest, "min_new_tokens": shortest,
            "min_eos_p": sizes.ends,
        },
        coarse_acoustics_config={
            **sampled, "coarse_semantic_pad_token": coarse_end, "coarse_infer_token": coarse_end + 1,
            "coarse_rate_hz": 75, "n_coarse_codebooks": 2, "max_coarse_input_length": 256, "max_coarse_history": 630,
            "sliding_window_len": 60,
        },
        fine_acoustics_config={
            "temperature": 0.5, "max_fine_history_length": sizes.fine_history,
            "max_fine_input_length": sizes.fine_input, "n_fine_codebooks": 8,
        },
        sample_rate=24000,
        codebook_size=sizes.codes,
    )  # fmt: skip


def _save_processor(folder: Path, vocabulary: list[str], voices: Iterable[str], seed: int, sizes: Sizes) -> None:
    import json

    import numpy as np
    from transformers import BertTokenizer

    BertTokenizer(vocab={piece: n for n, piece in enumerate(vocabulary)}, do_lower_case=False).save_pretrained(folder)
    numbers = np.random.default_rng(seed)
    table: dict[str, Any] = {"repo_or_path": str(folder)}
    for voice in voices:
        prompts = {
            "semantic_prompt": numbers.integers(0, sizes.semantic, 40),
            "coarse_prompt": numbers.integers(0, sizes.codes, (2, 60)),
            "fine_prompt": numbers.integers(0, sizes.codes, (8, 60)),
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
