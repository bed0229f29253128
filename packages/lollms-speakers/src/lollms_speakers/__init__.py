"""Who speaks when, and where speech is: providers for every binding that transcribes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lollms_speakers.diarizer import SpeakerDiarizer as SpeakerDiarizer
    from lollms_speakers.voice_activity import SileroVoiceActivity as SileroVoiceActivity

__version__ = "2.0.0"

_HOMES = {"SpeakerDiarizer": "diarizer", "SileroVoiceActivity": "voice_activity"}
__all__ = ["SileroVoiceActivity", "SpeakerDiarizer"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
