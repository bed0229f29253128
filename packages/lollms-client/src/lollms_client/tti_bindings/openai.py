"""OpenAI's images by their name in 1.x, of the distribution ``lollms-dalle``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("dalle", "lollms_dalle"):
    from lollms_dalle import DalleTTIBinding_Impl as OpenAITTIBinding

__all__ = ["OpenAITTIBinding"]
