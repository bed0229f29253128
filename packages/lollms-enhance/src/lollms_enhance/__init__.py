"""Images made larger, and cut out of their background, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_enhance.binding import EnhanceTTIBinding as EnhanceTTIBinding

__version__ = "2.0.0"
