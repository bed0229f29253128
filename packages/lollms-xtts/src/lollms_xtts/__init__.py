"""Speech in a cloned voice with XTTS, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_xtts.binding import XTTSBinding as XTTSBinding

__version__ = "2.0.0"
