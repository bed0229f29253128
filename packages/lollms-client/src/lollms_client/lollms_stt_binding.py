"""The documented home of the STT contract, which lives in ``lollms_modalities.stt``."""

from __future__ import annotations

from lollms_modalities.stt import LollmsSTTBinding as LollmsSTTBinding
from lollms_modalities.stt import LollmsSTTBindingManager as LollmsSTTBindingManager
