"""openai-whisper keeps the contract, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_modalities import LollmsTTSBindingManager
from lollms_modalities.testing import STTBindingSuite
from lollms_whisper import WhisperSTTBinding
from whisper_weights import make_openai

# Whisper's tokenizer leaves the file open from which it reads its words.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")


@pytest.fixture(scope="session")
def speech_and_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sentence, spoken by Piper, and Whisper tiny.en."""
    folder = tmp_path_factory.mktemp("whisper")
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        speech = piper.generate_audio("Rice is often served in round bowls.", noise_scale=0, noise_w_scale=0)
        return speech.save(folder / "speech.wav"), make_openai(folder / "tiny.en.pt")


class TestWhisper(STTBindingSuite):
    binding = WhisperSTTBinding
    expected = ("often", "served", "bowls")
    growth = 80e6  # what torch keeps

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _speech(cls, speech_and_model: tuple[Path, Path]) -> None:
        speech, model = speech_and_model
        cls.sample = {"audio_path": speech}
        cls.settings = {"model_name": str(model), "n_threads": 1, "default_beam_size": 1, "device": "cpu"}
