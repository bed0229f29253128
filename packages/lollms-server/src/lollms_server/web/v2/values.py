"""Results as JSON values and payloads, and progress."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lollms_modalities import Audio, AudioChunk, Image, Progress, Provenance, Segment, Transcript, Video, read_media

from lollms_server.web.errors import masked

_MEDIA: tuple[tuple[Any, str], ...] = ((Audio, "audio"), (Image, "image"), (Video, "video"))
_PART = 65_536  # bytes of a payload in one event


def to_json(value: Any, payloads: list[bytes]) -> dict[str, Any]:
    """A result as JSON values; its bytes are added to ``payloads`` and named there by their number."""
    for kind, name in _MEDIA:
        if isinstance(value, kind):
            payloads.append(read_media(value))
            return {"kind": name, "mime_type": value.mime_type, "payload": len(payloads) - 1, **_words(value)}
    if isinstance(value, Transcript):
        return {"kind": "transcript", **value.to_dict()}
    if isinstance(value, Segment):
        return {"kind": "segment", **asdict(value)}
    if isinstance(value, AudioChunk):
        payloads.append(bytes(value.pcm))
        told = {"kind": "chunk", "sample_rate": value.sample_rate, "channels": value.channels, "text": value.text}
        return {**told, "payload": len(payloads) - 1, **_words(value)}
    if isinstance(value, (list, tuple)):
        return {"kind": "list", "items": [to_json(item, payloads) for item in value]}
    return {"kind": "json", "value": value}


def _words(value: Any) -> dict[str, Any]:
    words = getattr(value, "words", ())
    return {"words": [asdict(word) for word in words]} if words else {}


def parts(payload: bytes) -> Iterator[str]:
    """A payload in base64, a part at a time."""
    for start in range(0, len(payload), _PART):
        yield base64.b64encode(payload[start : start + _PART]).decode("ascii")


def progress_of(progress: Progress, payloads: list[bytes]) -> dict[str, Any]:
    """How far a call is."""
    told: dict[str, Any] = {
        "type": "progress", "stage": progress.stage, "done": float(progress.done),
        "total": None if progress.total is None else float(progress.total), "unit": progress.unit,
    }  # fmt: skip
    if isinstance(progress.preview, (Audio, Image)):
        told["preview"] = to_json(progress.preview, payloads)
    return told


def provenance_of(provenance: Provenance | None) -> dict[str, Any] | None:
    """How a result was made, without the server's settings and folders."""
    if provenance is None:
        return None
    told: dict[str, Any] = masked_values(provenance.to_json() | {"settings": {}})
    return told


def masked_values(value: Any) -> Any:
    """JSON values whose texts tell nothing of the machine."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_values(held) for name, held in value.items()}
    return [masked_values(held) for held in value] if isinstance(value, (list, tuple)) else value
