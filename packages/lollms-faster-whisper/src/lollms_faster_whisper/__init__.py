"""Transcription with faster-whisper, behind the lollms-modalities contract."""

from __future__ import annotations

from lollms_faster_whisper.binding import FasterWhisperSTTBinding as FasterWhisperSTTBinding

__version__ = "2.0.0"
