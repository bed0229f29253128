"""Speech with Kokoro, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_kokoro.binding import KokoroTTSBinding as KokoroTTSBinding

__version__ = "2.0.0"
