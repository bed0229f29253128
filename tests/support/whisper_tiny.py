"""A Whisper of all languages that is small and knows nothing: its numbers are random."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path


def make_tiny(target: Path, *, seed: int = 0) -> Path:
    """Write the ``.pt`` of a model with one layer on each side, 3.6 MB, which openai-whisper loads."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=16, n_audio_head=2, n_audio_layer=1,
        n_vocab=51865, n_text_ctx=448, n_text_state=16, n_text_head=2, n_text_layer=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Whisper(dims)
        torch.nn.init.normal_(model.decoder.positional_embedding)  # which Whisper leaves as memory happens to be
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, target)
    return target
