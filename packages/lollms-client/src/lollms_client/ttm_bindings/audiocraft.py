"""MusicGen, of the distribution ``lollms-audiocraft``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("audiocraft", "lollms_audiocraft"):
    from lollms_audiocraft import AudioCraftTTMBinding as AudioCraftTTMBinding
