"""A Whisper of all languages that is small and knows nothing: its numbers are random."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

TINY = {
    "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 16, "n_audio_head": 2, "n_audio_layer": 1,
    "n_vocab": 51865, "n_text_ctx": 448, "n_text_state": 16, "n_text_head": 2, "n_text_layer": 1,
}  # fmt: skip
_END = 50257  # the first token that is no text, of those of several languages


def make_tiny(
    target: Path, *, seed: int = 0, sizes: dict[str, int] | None = None, talkative: bool = False, device: str = "cpu"
) -> Path:
    """Write the ``.pt`` of a model with one layer on each side, 3.6 MB, which openai-whisper loads.

    Args:
        target: the file.
        seed: of the weights.
        sizes: other ones.
        talkative: of each window it hears as many tokens as there may be, and no times: the likeliest of its tokens
            are never its marks of time, and never the end.
        device: on which it is made.
    """
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(**(sizes or TINY))
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        model = Whisper(dims)
        torch.nn.init.normal_(model.decoder.positional_embedding)  # which Whisper leaves as memory happens to be
        if talkative:
            table = model.decoder.token_embedding.weight.data
            table[:_END].mul_(3 / dims.n_text_state**0.5)  # its states are of length 1 a dimension
            table[_END:].zero_()
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, target)
    return target
