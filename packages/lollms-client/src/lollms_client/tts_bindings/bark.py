"""Bark, of the distribution ``lollms-bark``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("bark", "lollms_bark"):
    from lollms_bark import BarkTTSBinding as BarkTTSBinding

BarkClientBinding = BarkTTSBinding  # its name in 1.x
