"""Kokoro keeps the contract, on its real weights. A sentence takes some seconds of a core: all of it is for `full`."""

from __future__ import annotations

import pytest
from lollms_kokoro import KokoroTTSBinding
from lollms_modalities.testing import TTSBindingSuite


@pytest.mark.full
class TestKokoro(TTSBindingSuite):
    binding = KokoroTTSBinding
    # The packaged voices are Japanese, and speak English.
    settings = {"n_threads": 1, "default_language": "en"}
    growth = 120e6  # onnxruntime's arena settles late
    calls = 6
    stop_within = 10.0
