"""The MusicGen binding keeps the contract, on transformers and a tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_modalities.testing import TTMBindingSuite


class TestAudioCraft(TTMBindingSuite):
    binding = AudioCraftTTMBinding
    sample = {"prompt": "a slow piano", "duration": 0.6}
    long_sample = {"duration": 8}
    stop_within = 20.0  # a step takes some milliseconds, unless the machine has other things to do
    growth = 80e6

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, tiny_musicgen: Path) -> None:
        cls.settings = {"model_name": str(tiny_musicgen), "engine": "transformers", "n_threads": 1}
