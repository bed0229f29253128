"""What is said of results: to programs as JSON, to people in a few words."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Any, Self

from lollms_modalities.errors import LollmsError, MediaError

from lollms_client.cli import signals, standard

_FACTS = ("sample_rate", "channels", "duration", "width", "height", "fps", "num_frames")


def json_text(value: Any, encodable: bool | None = None) -> str:
    """A value as JSON, with escapes where standard output cannot hold its letters."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    fits = standard.encodable(text) if encodable is None else encodable
    return text if fits else json.dumps(value, indent=2, default=str)


def error_json(error: LollmsError) -> dict[str, Any]:
    """What programs are told of an error."""
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint}


class JsonArray:
    """An array on standard output, written element by element: what was done is there, whatever ends it."""

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def add(self, value: Any) -> None:
        """Write one more."""
        lines = json_text(value).splitlines()
        with signals.held():
            sys.stdout.write(("[\n" if not self._count else ",\n") + "\n".join(f"  {line}" for line in lines))
            sys.stdout.flush()
            self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with signals.held():
            sys.stdout.write("\n]\n" if self._count else "[]\n")
            sys.stdout.flush()


def facts(result: Any, path: Any) -> dict[str, Any]:
    """What is known of a result, and where it is, as JSON values."""
    told: dict[str, Any] = {
        "path": None if path is None else str(path),
        "format": result.format,
        "mime_type": result.mime_type,
        "bytes": len(result) if path is None else path.stat().st_size,
    }
    for name in _FACTS:
        if hasattr(type(result), name):
            try:
                told[name] = getattr(result, name)
            except (MediaError, LollmsError):  # in a format that is not read here
                told[name] = None
    made = result.provenance
    return {**told, "provenance": None if made is None else made.to_json()}


def known_of(stream: Any) -> dict[str, Any]:
    """What is known of sound that was streamed, when it has ended."""
    made = stream.provenance
    told = {"format": stream.output_format, "mime_type": stream.mime_type, "sample_rate": stream.sample_rate}
    return {**told, "channels": stream.channels, "provenance": None if made is None else made.to_json()}


def in_words(result: Any) -> str:
    """What a result is, for people: ``2.3 s, 22050 Hz, mono, WAV``."""
    told = facts(result, getattr(result, "path", None))
    parts = []
    if told.get("duration") is not None:
        parts.append(f"{told['duration']:.1f} s")
    if told.get("width") and told.get("height"):
        parts.append(f"{told['width']} x {told['height']}")
    if told.get("fps"):
        parts.append(f"{told['fps']:g} frames a second")
    if told.get("sample_rate"):
        parts.append(f"{told['sample_rate']} Hz")
    if told.get("channels"):
        parts.append({1: "mono", 2: "stereo"}.get(told["channels"], f"{told['channels']} channels"))
    return ", ".join([*parts, str(told["format"]).upper()])
