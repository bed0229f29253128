"""Images from OpenAI and compatible services."""

from __future__ import annotations

from lollms_dalle.binding import DalleTTIBinding_Impl as DalleTTIBinding_Impl

__version__ = "2.0.0"
