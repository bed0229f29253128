"""The documented home of the TTS contract, which lives in ``lollms_modalities.tts``."""

from __future__ import annotations

from lollms_modalities.tts import LollmsTTSBinding as LollmsTTSBinding
from lollms_modalities.tts import LollmsTTSBindingManager as LollmsTTSBindingManager
