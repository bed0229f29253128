"""Music with MusicGen, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_audiocraft.binding import AudioCraftTTMBinding as AudioCraftTTMBinding

__version__ = "2.0.0"
