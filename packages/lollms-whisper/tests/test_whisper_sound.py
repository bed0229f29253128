"""Languages by any name, no times, a track that is asked for: as with the other Whispers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harvard import spoken
from lollms_modalities import OptionError
from lollms_whisper import WhisperSTTBinding
from whisper_weights import make_openai

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")

SENTENCE = "Rice is often served in round bowls."


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperSTTBinding]:
    model: Path = make_openai(tmp_path_factory.mktemp("models") / "tiny.en.pt")
    with WhisperSTTBinding(str(model), device="cpu", n_threads=1, default_beam_size=1) as binding:
        yield binding


@pytest.mark.parametrize(
    "options", [{"language": language} for language in ("auto", "", "english", "en-GB")] + [{"timestamps": "none"}]
)
def test_languages_and_no_times(whisper: WhisperSTTBinding, options: dict[str, Any]) -> None:
    heard = whisper.transcribe_audio(spoken(SENTENCE), temperature=0, **options)
    assert "round bowls" in heard
    assert heard.language == "en"
    assert bool(heard.segments) == ("timestamps" not in options)
    assert heard.words == ()


def test_a_track_that_is_not_there(whisper: WhisperSTTBinding) -> None:
    with pytest.raises(OptionError, match="has 1 sound tracks"):
        whisper.transcribe_audio(spoken(SENTENCE), track=1)
