"""What tells speech from what is none, and live transcription, on real speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_faster_whisper.voices import SileroVoiceActivity
from lollms_modalities import AudioChunk, LollmsTTSBindingManager
from lollms_modalities.contract.voices import Loudness
from lollms_modalities.contract.voices import SileroVoiceActivity as PackagedSilero
from lollms_modalities.kit import decode_audio
from lollms_modalities.testing.live import word_error

FRAME = 512
SENTENCES = ("Glue the sheet to the dark blue background.", "These days a chicken leg is a rare dish.")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Two sentences at 16 kHz."""
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        made = [piper.generate_audio(s, noise_scale=0, noise_w_scale=0) for s in SENTENCES]
    return [decode_audio(audio) for audio in made]


def quiet(seconds: float) -> np.ndarray:
    return (1e-3 * np.random.default_rng(2).standard_normal(int(16000 * seconds))).astype(np.float32)


@pytest.mark.parametrize(
    "detector", [SileroVoiceActivity, PackagedSilero, Loudness], ids=["engine", "package", "loudness"]
)
def test_detectors_tell_speech_from_a_quiet_room(detector: Any, said: list[np.ndarray]) -> None:
    sound = np.concatenate([quiet(1.5), said[0], quiet(1.5)])
    stream = detector().stream()
    whole = detector().stream().feed(sound)
    # In parts of any size it says the same, and nothing is lost.
    parts = np.concatenate([stream.feed(sound[n : n + 700]) for n in range(0, len(sound), 700)])
    assert len(whole) == len(parts) == len(sound) // FRAME
    assert np.allclose(whole, parts, atol=1e-4)
    assert whole.min() >= 0
    assert whole.max() <= 1
    first, last = 48000 // 2 // FRAME, (24000 + len(said[0])) // FRAME
    assert (whole[5 : first - 3] < 0.35).all()
    assert (whole[last + 8 :] < 0.35).all()
    assert np.mean(whole[first + 3 : last - 3] > 0.5) > 0.6


def test_the_engines_detector_is_the_one_that_it_uses_itself(said: list[np.ndarray]) -> None:
    from faster_whisper.vad import get_vad_model

    sound = said[0][: len(said[0]) // FRAME * FRAME]
    expected = get_vad_model()(sound).ravel()
    found = SileroVoiceActivity().stream().feed(sound)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


def test_sentences_with_a_pause_are_utterances(said: list[np.ndarray]) -> None:
    parts = [quiet(0.8), said[0], quiet(1.0), said[1], quiet(0.2)]
    sound = np.concatenate(parts)
    begins = [0.8, 0.8 + len(said[0]) / 16000 + 1.0]

    def frames() -> Iterator[AudioChunk]:
        for n in range(0, len(sound), 1600):
            yield AudioChunk.from_samples(sound[n : n + 1600], 16000)

    with FasterWhisperSTTBinding(n_threads=1, default_beam_size=1) as stt:
        stream = stt.transcribe_live(frames(), timestamps="word")
        found = list(stream)
    finals = [s for s in found if s.final]
    assert len(finals) == len(SENTENCES)
    for segment, sentence, begin in zip(finals, SENTENCES, begins, strict=True):
        assert word_error(words(sentence), words(segment.text)) <= 0.34
        assert segment.start == pytest.approx(begin, abs=0.3)
        assert [w.text.strip() for w in segment.words] == segment.text.split()
        assert all(segment.start <= w.start <= w.end <= segment.end for w in segment.words)
    told = stream.provenance  # type: ignore[attr-defined]
    assert told.extra["live"]["voice_activity"]["distribution"] == "lollms_faster_whisper"
    assert Path(told.model).is_dir()


def words(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c == " ").split()
