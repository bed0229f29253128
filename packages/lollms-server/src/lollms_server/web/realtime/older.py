"""The shapes that sessions had before 2025-08, which many programs still send: flat fields, formats by other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UPDATE = "transcription_session.update"
_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_NAMES = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_INPUT = {
    "input_audio_format": "format", "input_audio_transcription": "transcription", "turn_detection": "turn_detection",
    "input_audio_noise_reduction": "noise_reduction",
}  # fmt: skip
_NO_MATTER = ("id", "object", "modalities", "expires_at", "client_secret")


def newer(said: Any) -> Any:
    """A change, as it is said today."""
    if not isinstance(said, Mapping):
        return said
    given: dict[str, Any] = {"type": "transcription", "audio": {"input": {}}}
    for name, value in said.items():
        if name in _INPUT:
            known = _FORMATS.get(value, value) if name == "input_audio_format" and isinstance(value, str) else value
            given["audio"]["input"][_INPUT[name]] = {"type": known} if name == "input_audio_format" else known
        elif name not in _NO_MATTER:
            given[name] = value
    return given


def older(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session of today, as it was told then."""
    given = session["audio"]["input"]
    told = {name: given[known] for name, known in _INPUT.items()}
    told["input_audio_format"] = _NAMES[given["format"]["type"]]
    return {"id": session["id"], "object": session["object"], **told, "include": session["include"]}
