"""Speech with Piper, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_piper.binding import PiperTTSBinding as PiperTTSBinding

__version__ = "2.0.0"
