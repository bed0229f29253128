"""OpenAI's Whisper, of the distribution ``lollms-whisper``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("whisper", "lollms_whisper"):
    from lollms_whisper import WhisperSTTBinding as WhisperSTTBinding
