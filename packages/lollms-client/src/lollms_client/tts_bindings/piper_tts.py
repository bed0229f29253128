"""Piper, of the distribution ``lollms-piper``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("piper", "lollms_piper"):
    from lollms_piper import PiperTTSBinding as PiperTTSBinding

PiperClientBinding = PiperTTSBinding  # its name in 1.x
