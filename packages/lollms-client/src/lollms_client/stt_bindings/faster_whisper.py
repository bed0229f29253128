"""faster-whisper, of the distribution ``lollms-faster-whisper``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("faster-whisper", "lollms_faster_whisper"):
    from lollms_faster_whisper import FasterWhisperSTTBinding as FasterWhisperSTTBinding
