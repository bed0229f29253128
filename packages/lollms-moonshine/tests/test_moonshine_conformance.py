"""Moonshine keeps the contract, on real weights and real speech."""

from __future__ import annotations

from pathlib import Path

import pytest
from harvard import spoken
from lollms_modalities.testing import STTBindingSuite
from lollms_moonshine import MoonshineSTTBinding

TEXT = "The birch canoe slid on the smooth planks. Rice is often served in round bowls."


@pytest.mark.full
class TestMoonshine(STTBindingSuite):
    binding = MoonshineSTTBinding
    expected = ("smooth", "planks", "served", "bowls")
    growth = 80e6
    calls = 12
    stop_within = 15.0  # half a minute of sound cannot be interrupted

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _speech(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        path: Path = spoken(TEXT).save(tmp_path_factory.mktemp("speech") / "speech.wav")
        cls.sample = {"audio_path": path}
