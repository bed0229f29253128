"""faster-whisper on Whisper base: other languages, which Kokoro speaks, heard out, written down and translated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harvard import word_error_rate
from languages import SAID, spoken_in
from lollms_faster_whisper import FasterWhisperSTTBinding
from whisper_weights import base

# How many of its words the smallest of these models may hear otherwise.
MOST = {"fr": 0.35, "es": 0.3, "it": 0.35, "pt": 0.4, "hi": 1.0}
HEAVY = [pytest.param(language, marks=pytest.mark.full) for language in SAID if language != "fr"]


@pytest.fixture(scope="module")
def whisper() -> Iterator[FasterWhisperSTTBinding]:
    with FasterWhisperSTTBinding(str(base()), n_threads=1) as binding:
        yield binding


@pytest.mark.parametrize("language", ["fr", *HEAVY])
def test_a_language_is_heard_out_and_translated(whisper: FasterWhisperSTTBinding, language: str) -> None:
    speech, said = spoken_in(language), SAID[language]
    heard = whisper.transcribe_audio(speech)
    assert (heard.language, heard.text_language) == (language, language)
    assert heard.language_probability is not None
    assert heard.language_probability > 0.5
    assert word_error_rate(said.text, heard) <= MOST[language]
    english = whisper.transcribe_audio(speech, translate=True)
    assert (english.language, english.text_language) == (language, "en")
    assert any(word in english.lower() for word in said.english), english
    assert english != heard


@pytest.mark.full
def test_a_language_that_is_told_is_not_heard_out(whisper: FasterWhisperSTTBinding) -> None:
    told = whisper.transcribe_audio(spoken_in("es"), language="Spanish", timestamps="word")
    assert told.language == "es"
    assert word_error_rate(SAID["es"].text, told) <= MOST["es"]
    assert len(told.words) >= 10
