"""Speech and sound effects with Bark, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_bark.bindings import BarkTTMBinding as BarkTTMBinding
from lollms_bark.bindings import BarkTTSBinding as BarkTTSBinding

__version__ = "2.0.0"
