"""The MusicGen binding keeps the contract on Meta's library too.

Runs in the environment that ``environment.toml`` describes, and is named to pytest, which does not find it by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lollms_audiocraft import AudioCraftTTMBinding
from lollms_modalities.testing import TTMBindingSuite


class TestAudioCraftLibrary(TTMBindingSuite):
    binding = AudioCraftTTMBinding
    sample = {"prompt": "a slow piano", "duration": 2}  # noqa: RUF012 - as briefly as an author declares it
    long_sample = {"duration": 60}  # noqa: RUF012
    stop_within = 20.0  # a step takes some milliseconds, unless the machine has other things to do
    growth = 80e6

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, checkpoint: Path) -> None:
        cls.settings = {"model_name": str(checkpoint), "engine": "audiocraft", "n_threads": 1}
