"""whisper.cpp, of the distribution ``lollms-whispercpp``."""

from __future__ import annotations

from lollms_client._extra import extra

with extra("whispercpp", "lollms_whispercpp"):
    from lollms_whispercpp import WhisperCppSTTBinding as WhisperCppSTTBinding
