"""What stands in double brackets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from lollms_modalities import AudioChunk
from lollms_piper import PiperTTSBinding

STILL = {"noise_scale": 0.0, "noise_w_scale": 0.0}


@pytest.fixture(scope="module")
def piper() -> Iterator[PiperTTSBinding]:
    with PiperTTSBinding() as binding:
        yield binding


@pytest.mark.parametrize("text", ["See [[note]] here.", "[[[note]]]", "[[", "a [[b"])
def test_double_brackets_are_text(piper: PiperTTSBinding, text: str) -> None:
    """As single ones, which are text to every phonemizer."""
    if not text.strip("[] "):
        text += " and words"
    expected = piper.generate_audio(text.replace("[[[", "[ [ [").replace("[[", "[ ["), **STILL)
    assert piper.generate_audio(text, **STILL) == expected
    chunks: list[AudioChunk] = list(piper.stream_audio(text, **STILL))
    assert " ".join(chunk.text for chunk in chunks if chunk.text) == text, "and the chunk's text is what was given"


def test_phonemes_are_spoken_where_they_are_asked_for(piper: PiperTTSBinding) -> None:
    as_phonemes = piper.generate_audio("[[hɛlˈoʊ]]", phonemes=True, **STILL)
    assert as_phonemes != piper.generate_audio("[[hɛlˈoʊ]]", **STILL)
    assert np.abs(as_phonemes.to_numpy()).max() > 0.1
    assert piper.generate_audio("Hello.", phonemes=True, **STILL) == piper.generate_audio("Hello.", **STILL)
