"""openai-whisper on Whisper base: other languages, which Kokoro speaks, heard out, written down and translated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harvard import word_error_rate
from languages import SAID, spoken_in
from lollms_whisper import WhisperSTTBinding
from whisper_weights import base, make_openai

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")
MOST = {"fr": 0.35, "es": 0.3, "it": 0.35, "pt": 0.4}  # in Hindi, as small as it is, it repeats itself
SURE: dict[str, Any] = {"beam_size": 1, "temperature": 0.0}  # at another temperature words are drawn
HEAVY = [pytest.param(language, marks=pytest.mark.full) for language in SAID if language != "es"]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperSTTBinding]:
    model = make_openai(tmp_path_factory.mktemp("models") / "base.pt", model=base())
    with WhisperSTTBinding(str(model), n_threads=1) as binding:
        yield binding


@pytest.mark.parametrize("language", ["es", *HEAVY])
def test_a_language_is_heard_out_and_translated(whisper: WhisperSTTBinding, language: str) -> None:
    speech, said = spoken_in(language), SAID[language]
    heard = whisper.transcribe_audio(speech, **SURE)
    assert (heard.language, heard.text_language) == (language, language)
    assert word_error_rate(said.text, heard) <= MOST.get(language, float("inf"))
    english = whisper.transcribe_audio(speech, translate=True, **SURE)
    assert (english.language, english.text_language) == (language, "en")
    assert any(word in english.lower() for word in said.english), english
    assert english != heard
