"""openai-whisper keeps the contract, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_modalities import LollmsTTSBindingManager
from lollms_modalities.testing import STTBindingSuite
from lollms_whisper import WhisperSTTBinding
from whisper_weights import make_openai

# Beyond one window of 30 s. A sentence again and again would be taken for a failure of the model.
LONG = """
The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.
It's easy to tell the depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls.
The juice of lemons makes fine punch. The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage.
Four hours of steady work faced us. A large size in stockings is hard to sell. The boy was there when the sun rose.
A rod is used to catch pink salmon. The source of the huge river is the clear spring. Kick the ball straight and follow through.
Help the woman get back to her feet. A pot of tea helps to pass the evening. Smoky fires lack flame and heat.
""".strip().replace("\n", " ")
# Whisper's tokenizer leaves the file open from which it reads its words.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file.*tiktoken:ResourceWarning")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence and many, spoken by Piper, and Whisper tiny.en."""
    folder = tmp_path_factory.mktemp("whisper")
    with LollmsTTSBindingManager().require_binding("piper") as piper:
        for name, text in (("short.wav", "Rice is often served in round bowls."), ("long.wav", LONG)):
            piper.generate_audio(text, noise_scale=0, noise_w_scale=0).save(folder / name)
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
