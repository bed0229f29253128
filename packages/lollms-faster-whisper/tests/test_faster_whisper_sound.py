"""What real recordings hold: languages by any name, no times, long silences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from harvard import spoken
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_modalities import Audio
from lollms_modalities.kit import decode_audio

SENTENCE = "Rice is often served in round bowls."


@pytest.fixture(scope="module")
def whisper() -> Iterator[FasterWhisperSTTBinding]:
    with FasterWhisperSTTBinding(default_beam_size=1, n_threads=1) as binding:
        yield binding


@pytest.mark.parametrize(
    "options", [{"language": language} for language in ("auto", "", "english", "en-GB")] + [{"timestamps": "none"}]
)
def test_languages_and_no_times(whisper: FasterWhisperSTTBinding, options: dict[str, Any]) -> None:
    heard = whisper.transcribe_audio(spoken(SENTENCE), **options)
    assert "round bowls" in heard
    assert bool(heard.segments) == ("timestamps" not in options)
    assert heard.words == ()


@pytest.mark.parametrize(("timestamps", "stream"), [("segment", False), ("segment", True), ("word", False)])
def test_no_cue_stays_over_a_minute_of_silence(whisper: FasterWhisperSTTBinding, timestamps: str, stream: bool) -> None:
    sentence = decode_audio(spoken("The birch canoe slid on the"), 16000), decode_audio(spoken("smooth planks."), 16000)
    gap = np.random.default_rng(0).normal(0, 1e-4, 60 * 16000).astype(np.float32)
    film = Audio.from_samples(np.concatenate([sentence[0], gap, sentence[1]]), 16000)
    if stream:
        segments = list(whisper.stream_transcript(film, timestamps=timestamps))
    else:
        heard = whisper.transcribe_audio(film, timestamps=timestamps)
        assert heard.language == "en"
        segments = list(heard.segments)
    begin = len(sentence[0]) / 16000
    assert len(segments) >= 2
    for segment in segments:
        assert segment.end < begin + 2 or segment.start > begin + 58, segment
        assert bool(segment.words) == (timestamps == "word")
    assert "planks" in segments[-1].text
    assert segments[-1].end <= film.duration
