"""Transcription with Moonshine, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_moonshine.binding import MoonshineSTTBinding as MoonshineSTTBinding

__version__ = "2.0.0"
