"""One client for speech, transcription, images, music and video, whatever engine does it."""

from __future__ import annotations

from lollms_client.client import LollmsClient as LollmsClient

__version__ = "2.0.0"
