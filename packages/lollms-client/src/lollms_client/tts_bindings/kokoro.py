"""Kokoro, of the distribution ``lollms-kokoro``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("kokoro", "lollms_kokoro"):
    from lollms_kokoro import KokoroTTSBinding as KokoroTTSBinding
