"""The examples keep the whole contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lollms_examples.stt import LoudnessSTTBinding
from lollms_examples.tti import BlocksTTIBinding
from lollms_examples.ttm import ChordTTMBinding
from lollms_examples.tts import ToneTTSBinding
from lollms_examples.ttv import BallTTVBinding
from lollms_modalities import Audio
from lollms_modalities.testing import (
    STTBindingSuite,
    TTIBindingSuite,
    TTMBindingSuite,
    TTSBindingSuite,
    TTVBindingSuite,
)


class TestTone(TTSBindingSuite):
    binding = ToneTTSBinding
    settings = {"loudness": 0.2}
    sample = {"text": "Two words. And four more words."}


class TestBlocks(TTIBindingSuite):
    binding = BlocksTTIBinding


class TestLoudness(STTBindingSuite):
    binding = LoudnessSTTBinding
    expected = ("quiet loud",)

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _recording(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        sound = np.concatenate([np.zeros(16000), np.sin(np.arange(16000) / 20)])
        path: Path = tmp_path_factory.mktemp("sound") / "sound.wav"
        cls.sample = {"audio_path": Audio.from_samples(sound, 16000).save(path)}


class TestChord(TTMBindingSuite):
    binding = ChordTTMBinding


class TestBall(TTVBindingSuite):
    binding = BallTTVBinding
