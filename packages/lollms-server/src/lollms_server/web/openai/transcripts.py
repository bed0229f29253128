"""A transcript in each of the shapes that OpenAI's API gives it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from lollms_modalities import Segment, Transcript
from lollms_modalities.kit import WHISPER_LANGUAGES

_NUMBERS = ("temperature", "avg_logprob", "compression_ratio", "no_speech_prob")


def usage_of(seconds: float) -> dict[str, Any]:
    """What is paid for there: seconds of sound."""
    return {"usage": {"type": "duration", "seconds": round(seconds, 3)}}


def as_json(transcript: Transcript, seconds: float) -> dict[str, Any]:
    """``json``."""
    return {"text": str(transcript), **usage_of(seconds)}


def as_verbose(transcript: Transcript, seconds: float, task: str, granularities: set[str]) -> dict[str, Any]:
    """``verbose_json``."""
    told: dict[str, Any] = {
        "task": task,
        "language": language_name(transcript.language),
        "duration": round(seconds, 3),
        "text": str(transcript),
        **usage_of(seconds),
    }
    told["segments"] = [_verbose_segment(number, s) for number, s in enumerate(transcript.as_segments())]
    if "word" in granularities:
        told["words"] = [
            {"word": w.text.strip(), "start": _time(w.start), "end": _time(w.end)} for w in transcript.words
        ]
        if "segment" not in granularities:
            del told["segments"]
    return told


def as_diarized(transcript: Transcript, seconds: float) -> dict[str, Any]:
    """``diarized_json``."""
    return {
        "task": "transcribe",
        "duration": round(seconds, 3),
        "text": str(transcript),
        "segments": list(diarized_segments(transcript.as_segments())),
        **usage_of(seconds),
    }


def diarized_segments(segments: Any, first: int = 0) -> Iterator[dict[str, Any]]:
    """Segments as they stand in ``diarized_json``, and one by one in a stream."""
    for number, segment in enumerate(segments, first):
        yield {
            "id": f"seg_{number}",
            "type": "transcript.text.segment",
            "start": _time(segment.start),
            "end": _time(segment.end),
            "speaker": segment.speaker or "",
            "text": segment.text,
        }


def language_name(tag: str | None) -> str:
    """As OpenAI's API calls it: by its English name, in small letters; the tag where that is not known."""
    if not tag:
        return ""
    return _NAMES.get(tag.partition("-")[0].lower(), tag)


_NAMES = {code: names[0].lower() for code, names in WHISPER_LANGUAGES.items()}


def _verbose_segment(number: int, segment: Segment) -> dict[str, Any]:
    extra = segment.extra
    told: dict[str, Any] = {
        "id": number,
        "seek": int(_number(extra.get("seek"))),
        "start": _time(segment.start),
        "end": _time(segment.end),
        "text": segment.text,
        "tokens": [int(t) for t in extra.get("tokens", ()) if isinstance(t, int)],
    }
    return told | {name: _number(extra.get(name)) for name in _NUMBERS}


def _number(value: Any) -> float:
    told = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if told else 0.0


def _time(seconds: float) -> float:
    return round(float(seconds), 3)


def as_text(transcript: Transcript, kind: str) -> tuple[str, str]:
    """``text``, ``srt`` or ``vtt``, and its media type."""
    if kind == "srt":
        return transcript.to_srt(), "application/x-subrip; charset=utf-8"
    if kind == "vtt":
        return transcript.to_vtt(), "text/vtt; charset=utf-8"
    return f"{transcript}\n", "text/plain; charset=utf-8"
