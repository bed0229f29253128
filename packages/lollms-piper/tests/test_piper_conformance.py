"""Piper keeps the contract, on its real voice."""

from __future__ import annotations

from lollms_modalities.testing import TTSBindingSuite
from lollms_piper import PiperTTSBinding


class TestPiper(TTSBindingSuite):
    binding = PiperTTSBinding
    settings = {"n_threads": 1}
    sample = {"noise_scale": 0, "noise_w_scale": 0}
    growth = 80e6  # onnxruntime's arena settles late
