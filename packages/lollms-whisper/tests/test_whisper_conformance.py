"""openai-whisper keeps the contract, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from harvard import HARVARD, spoken
from lollms_modalities.testing import STTBindingSuite
from lollms_whisper import WhisperSTTBinding
from whisper_weights import make_openai

# Beyond one window of 30 s. A sentence again and again would be taken for a failure of the model.
LONG = HARVARD.partition(" The soft cushion")[0]
# Whisper's tokenizer leaves the file open from which it reads its words.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence and many, spoken by Piper, and Whisper tiny.en."""
    folder = tmp_path_factory.mktemp("whisper")
    spoken("Rice is often served in round bowls.").save(folder / "short.wav")
    spoken(LONG).save(folder / "long.wav")
    make_openai(folder / "tiny.en.pt")
    return folder


class TestWhisper(STTBindingSuite):
    binding = WhisperSTTBinding
    expected = ("often", "served", "bowls")
    growth = 80e6  # what torch keeps

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _files(cls, files: Path) -> None:
        cls.sample = {"audio_path": files / "short.wav"}
        cls.long_sample = {"audio_path": files / "long.wav"}
        cls.settings = {
            "model_name": str(files / "tiny.en.pt"), "n_threads": 1, "default_beam_size": 1, "device": "cpu",
        }  # fmt: skip
