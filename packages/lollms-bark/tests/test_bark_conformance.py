"""Both Bark bindings keep the contract, on a tiny checkpoint of the real library's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lollms_bark import BarkTTMBinding, BarkTTSBinding
from lollms_modalities.testing import TTMBindingSuite, TTSBindingSuite


class TestBarkTTS(TTSBindingSuite):
    binding = BarkTTSBinding
    stop_within = 20.0  # a step takes some milliseconds, unless the machine has other things to do
    growth = 80e6

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, tiny_bark: Path) -> None:
        cls.settings = {"model_name": str(tiny_bark), "n_threads": 1}

    def differing(self) -> list[list[dict[str, Any]]]:
        # Random weights hardly heed which words there are: how many of them, in how many sentences, they do.
        few, many = "One.", "There are a good many words in this. And there is a second sentence. "
        return [[{"text": few + end} for end in ("", many)], [{"text": start + few} for start in ("", many)]]


class TestBarkTTM(TTMBindingSuite):
    binding = BarkTTMBinding
    sample = {"prompt": "[SFX: explosion]"}
    long_sample = {"prompt": "A long rumble, and then silence. " * 20}
    stop_within = 20.0
    growth = 80e6

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _model(cls, tiny_bark: Path) -> None:
        cls.settings = {"model_name": str(tiny_bark), "n_threads": 1}
