"""Transcription with whisper.cpp, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_whispercpp.binding import WhisperCppSTTBinding as WhisperCppSTTBinding

__version__ = "2.0.0"
