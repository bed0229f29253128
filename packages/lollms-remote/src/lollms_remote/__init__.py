"""Bindings to LoLLMs and OpenAI-compatible servers."""

from __future__ import annotations

from lollms_remote.images import LollmsTTIBinding_Impl as LollmsTTIBinding_Impl
from lollms_remote.jobs import LollmsTTMBinding_Impl as LollmsTTMBinding_Impl
from lollms_remote.jobs import LollmsTTVBinding_Impl as LollmsTTVBinding_Impl
from lollms_remote.speech import LollmsTTSBinding_Impl as LollmsTTSBinding_Impl
from lollms_remote.transcription import LollmsSTTBinding_Impl as LollmsSTTBinding_Impl

__version__ = "2.0.0"
