"""whisper.cpp keeps the contract, with its real program, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from harvard import spoken
from lollms_modalities.testing import STTBindingSuite
from lollms_whispercpp import WhisperCppSTTBinding


class TestWhisperCpp(STTBindingSuite):
    binding = WhisperCppSTTBinding
    expected = ("often", "served", "bowls")
    calls = 9  # each is a program of its own, which takes with it what it held

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _what_it_needs(cls, program: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.settings = {
            "model_path": models / "ggml-tiny.en-q8_0.bin",
            "whispercpp_exe_path": program,
            "n_threads": 1,
            "default_beam_size": 1,
            "fit_window": True,  # a third of the time, a hundred times
        }
        sentence = spoken("Rice is often served in round bowls.")
        cls.sample = {"audio_path": sentence.save(tmp_path_factory.mktemp("speech") / "sentence.wav")}
