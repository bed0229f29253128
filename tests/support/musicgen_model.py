"""Makes a tiny MusicGen checkpoint of random weights, with the real library: it hums, but all of MusicGen's parts work.

``python musicgen_model.py FOLDER`` writes one.
"""

from __future__ import annotations

import string
import sys
from pathlib import Path
from typing import Any, NamedTuple

RATE = 32000
FRAME_RATE = 50  # as the published models
_CODEBOOKS = 4


class Sizes(NamedTuple):
    """What a checkpoint has of everything.

    Attributes:
        layers, width, heads: of its decoder.
        codes: entries of each codebook.
        text: of ``T5Config``, what is not T5's own; the tokenizer's size comes to it where it says none.
        codec: of ``EncodecConfig``, what is not as published.
        louder: what the weights of the decoder are multiplied with: of a tiny one, all codes are equally likely
            whatever the prompt, as they are.
    """

    layers: int = 2
    width: int = 32
    heads: int = 4
    codes: int = 64
    text: tuple[tuple[str, Any], ...] = (
        ("d_model", 16),
        ("d_kv", 8),
        ("d_ff", 32),
        ("num_layers", 1),
        ("num_heads", 2),
    )
    codec: tuple[tuple[str, Any], ...] = (
        ("num_filters", 4), ("hidden_size", 16), ("codebook_size", 64), ("num_lstm_layers", 1),
        ("target_bandwidths", [1.2]),
    )  # fmt: skip
    louder: float = 8.0


TINY = Sizes()


def make_musicgen(
    folder: Path, *, channels: int = 1, window: int = 100, layers: int | None = None, width: int | None = None,
    seed: int = 0, sizes: Sizes = TINY, device: str = "cpu",
) -> Path:  # fmt: skip
    """Write a checkpoint: configuration, weights as safetensors, tokenizer, generation settings.

    Args:
        folder: where; made if need be.
        channels: 1, or 2 for a stereo model.
        window: frames that it makes at once, 50 a second; 1500 in the published models.
        layers, width: of its decoder, where not as ``sizes`` says.
        seed: of the weights.
        sizes: of all that the model has.
        device: on which it is made.
    """
    import torch
    from transformers import (
        EncodecConfig,
        EncodecFeatureExtractor,
        GenerationConfig,
        MusicgenConfig,
        MusicgenDecoderConfig,
        MusicgenForConditionalGeneration,
        T5Config,
    )

    folder.mkdir(parents=True, exist_ok=True)
    codebooks = _CODEBOOKS * channels
    tokenizer = make_tokenizer()
    codes, wide = sizes.codes, width or sizes.width
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        config = MusicgenConfig(
            text_encoder=T5Config(**{"vocab_size": len(tokenizer), **dict(sizes.text)}).to_dict(),
            audio_encoder=EncodecConfig(
                sampling_rate=RATE, upsampling_ratios=[8, 5, 4, 4], use_causal_conv=False, **dict(sizes.codec)
            ).to_dict(),
            decoder=MusicgenDecoderConfig(
                vocab_size=codes, hidden_size=wide, ffn_dim=(2 if sizes is TINY else 4) * wide,
                num_hidden_layers=layers or sizes.layers, num_attention_heads=sizes.heads, num_codebooks=codebooks,
                audio_channels=channels, pad_token_id=codes, bos_token_id=codes,
            ).to_dict(),
        )  # fmt: skip
        model = MusicgenForConditionalGeneration(config)
        for parameter in model.decoder.parameters():
            parameter.data.mul_(sizes.louder)
        codec = model.audio_encoder
        for part, louder in ((codec.encoder, 2.0), (codec.decoder, 1.5)):
            for name, parameter in part.named_parameters():
                if name.endswith("weight.original0"):
                    parameter.data.mul_(louder)  # as they are, all sounds have the same codes
        for layer in codec.quantizer.layers:
            layer.codebook.embed.normal_()  # zeros at first, which are silence
    model.generation_config = GenerationConfig(
        do_sample=True, guidance_scale=3.0, max_length=window + _CODEBOOKS, bos_token_id=codes, pad_token_id=codes,
        decoder_start_token_id=codes,
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=channels, sampling_rate=RATE).save_pretrained(folder)
    return folder


def make_tokenizer() -> Any:
    from transformers import T5Tokenizer

    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_letters, *string.digits, *".,;:!?'-"]
    return T5Tokenizer(vocab=[(piece, -float(n > 2)) for n, piece in enumerate(pieces)], extra_ids=0)


if __name__ == "__main__":
    print(make_musicgen(Path(sys.argv[1])))
