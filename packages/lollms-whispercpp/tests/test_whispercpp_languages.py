"""whisper.cpp on Whisper base: other languages, which Kokoro speaks, heard out, written down and translated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import whisper_weights
from harvard import word_error_rate
from kept import kept
from languages import SAID, spoken_in
from lollms_whispercpp import WhisperCppSTTBinding
from whisper_weights import base, make_ggml

MOST = {"fr": 0.35, "es": 0.3, "it": 0.35, "pt": 0.4, "hi": 1.0}  # the last is written in another script

# Half a minute to make the weights, half a minute a language; in `nox -s tests` faster-whisper hears one of them.
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def whisper(program: Path) -> Iterator[WhisperCppSTTBinding]:
    model = base()
    made = kept(
        "ggml-base",
        lambda folder: make_ggml(folder / "ggml-base.bin", model=model),
        of=(Path(whisper_weights.__file__), model.name),
    )
    with WhisperCppSTTBinding(made / "ggml-base.bin", whispercpp_exe_path=program, n_threads=1) as binding:
        yield binding


@pytest.mark.parametrize("language", SAID)
def test_a_language_is_heard_out_and_translated(whisper: WhisperCppSTTBinding, language: str) -> None:
    speech, said = spoken_in(language), SAID[language]
    heard = whisper.transcribe_audio(speech, beam_size=1)
    assert (heard.language, heard.text_language) == (language, language)
    assert word_error_rate(said.text, heard) <= MOST[language]
    english = whisper.transcribe_audio(speech, translate=True, beam_size=1)
    assert (english.language, english.text_language) == (language, "en")
    assert any(word in english.lower() for word in said.english), english
    assert english != heard
