"""Transcription with OpenAI's Whisper, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_whisper.binding import WhisperSTTBinding as WhisperSTTBinding

__version__ = "2.0.0"
