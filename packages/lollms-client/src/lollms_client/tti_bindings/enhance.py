"""Images made larger and cut out, of the distribution ``lollms-enhance``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("enhance", "lollms_enhance"):
    from lollms_enhance import EnhanceTTIBinding as EnhanceTTIBinding
