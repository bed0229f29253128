"""faster-whisper keeps the contract, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_modalities import LollmsTTSBindingManager
from lollms_modalities.testing import STTBindingSuite

TEXT = "The birch canoe slid on the smooth planks. Rice is often served in round bowls."


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence, spoken by Piper."""
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        path = tmp_path_factory.mktemp("speech") / "speech.wav"
        return piper.generate_audio(TEXT, noise_scale=0, noise_w_scale=0).save(path)


class TestFasterWhisper(STTBindingSuite):
    binding = FasterWhisperSTTBinding
    settings = {"n_threads": 1, "default_beam_size": 1}
    expected = ("smooth", "planks", "served", "bowls")
    growth = 80e6
    calls = 12  # each takes a second
    stop_within = 10.0  # a batch of windows cannot be interrupted

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _speech(cls, speech: Path) -> None:
        cls.sample = {"audio_path": speech}
