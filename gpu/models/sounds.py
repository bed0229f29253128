"""Bark, MusicGen and Whisper of published sizes, written by the makers of the tests' tiny ones.

Sizes: the configurations of suno/bark-small, suno/bark, facebook/musicgen-small and -medium, and openai's large-v3.
Each sentence becomes a number of tokens that is fixed when the model is made; music and transcripts have a fixed number
anyway. So no figure depends on what was learned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SEMANTIC_TOKENS = 100  # of each sentence: 2 s of sound
TINY_TOKENS = 24
VOICE = "v2/en_speaker_6"

_BARK = {
    "semantic": 10_000, "codes": 1024, "words": 129_600, "fine_history": 512, "fine_input": 1024, "codec": (),
    "spread": 0.02, "ends": 1e-9,
}  # fmt: skip
BARK_SMALL: dict[str, Any] = {**_BARK, "layers": 12, "width": 768, "heads": 12}
BARK_LARGE: dict[str, Any] = {**_BARK, "layers": 24, "width": 1024, "heads": 16}

_MUSICGEN = {
    "codes": 2048, "louder": 1.0,
    "text": (
        ("vocab_size", 32_128), ("d_model", 768), ("d_kv", 64), ("d_ff", 3072), ("num_layers", 12), ("num_heads", 12),
    ),
    "codec": (("num_filters", 64), ("hidden_size", 128), ("codebook_size", 2048), ("target_bandwidths", [2.2])),
}  # fmt: skip
MUSICGEN_SMALL: dict[str, Any] = {**_MUSICGEN, "layers": 24, "width": 1024, "heads": 16}
MUSICGEN_MEDIUM: dict[str, Any] = {**_MUSICGEN, "layers": 48, "width": 1536, "heads": 24}

_LARGE_V3 = {
    "n_mels": 128, "n_audio_ctx": 1500, "n_audio_state": 1280, "n_audio_head": 20, "n_audio_layer": 32,
    "n_vocab": 51_866, "n_text_ctx": 448, "n_text_state": 1280, "n_text_head": 20, "n_text_layer": 32,
}  # fmt: skip


def bark(folder: Path, device: str, sizes: dict[str, Any]) -> None:
    """A Bark each of whose sentences becomes ``SEMANTIC_TOKENS`` semantic tokens."""
    from bark_model import Sizes, make_bark  # type: ignore[import-not-found, unused-ignore]

    make_bark(folder, voices=[VOICE], shortest=SEMANTIC_TOKENS, sizes=Sizes(**sizes), device=device)


def tiny_bark(folder: Path) -> None:
    """The same of the tests' size."""
    from bark_model import Sizes, make_bark

    make_bark(folder, voices=[VOICE], shortest=TINY_TOKENS, sizes=Sizes(ends=1e-9))


def musicgen(folder: Path, device: str, sizes: dict[str, Any]) -> None:
    """A MusicGen."""
    from musicgen_model import Sizes, make_musicgen  # type: ignore[import-not-found, unused-ignore]

    make_musicgen(folder, window=1500, sizes=Sizes(**sizes), device=device)


def tiny_musicgen(folder: Path) -> None:
    """The same of the tests' size."""
    from musicgen_model import make_musicgen

    make_musicgen(folder)


def whisper(folder: Path, device: str, **more: Any) -> None:
    """A Whisper, ``model.pt``, which says as much as it can."""
    _need_whisper()
    from whisper_tiny import make_tiny  # type: ignore[import-not-found, unused-ignore]

    make_tiny(folder / "model.pt", talkative=True, **({"sizes": _LARGE_V3, "device": device} | more))


def tiny_whisper(folder: Path) -> None:
    """The same of the tests' size."""
    whisper(folder, "cpu", sizes=None)


def _need_whisper() -> None:
    import importlib.util

    from gpu.findings import NotHere

    if importlib.util.find_spec("whisper") is None:
        raise NotHere("openai-whisper is not installed")
