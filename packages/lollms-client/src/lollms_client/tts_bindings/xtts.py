"""XTTS, of the distribution ``lollms-xtts``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("xtts", "lollms_xtts"):
    from lollms_xtts import XTTSBinding as XTTSBinding

XTTSClientBinding = XTTSBinding  # its name in 1.x
