"""What the program writes: lines of segments, of progress and of its log while it runs, a JSON file at its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities import GenerationError, Segment, Word

_CLOCK = r"(\d+):(\d\d):(\d\d)[.,](\d{3})"
_SEGMENT = re.compile(rf"\[{_CLOCK} --> {_CLOCK}\] {{0,2}}(.*)")
_PROGRESS = re.compile(r"progress\s*=\s*(\d+)\s*%")
_LANGUAGE = re.compile(r"auto-detected language: (\w+) \(p = ([\d.]+)\)")
_SPECIAL = re.compile(r"\[_[A-Za-z0-9_]+\]|<\|.*\|>")
_REMARK = re.compile(r"\[.*\]|\(.*\)|\*.*\*|[\W_]*")


def segment_of(line: str, duration: float, language: str | None) -> Segment | None:
    """The segment that a line tells, if it does; its times end with the recording, in which the program hears on."""
    match = _SEGMENT.fullmatch(line)
    if match is None:
        return None
    numbers = [int(n) for n in match.groups()[:8]]
    start, end = ((n[0] * 3600 + n[1] * 60 + n[2]) * 1000 + n[3] for n in (numbers[:4], numbers[4:]))
    return Segment(match.group(9).strip(), *_within(start, end, duration), language=language)


def progress_of(line: str) -> float | None:
    """How much is done, from 0 to 1, if a line tells it."""
    match = _PROGRESS.search(line)
    return None if match is None else min(1.0, int(match.group(1)) / 100)


def language_of(line: str) -> tuple[str, float] | None:
    """The language that was heard and how sure that is, if a line tells it."""
    match = _LANGUAGE.search(line)
    return None if match is None else (match.group(1), float(match.group(2)))


def is_filler(line: str) -> bool:
    """Whether a line is of the timings that end every run, or of the list of options that ends a refusal."""
    return line.startswith(("whisper_print_timings:", "  "))


def is_remark(text: str) -> bool:
    """Whether it says what is heard besides speech: ``[BLANK_AUDIO]``, ``(wind blowing)``, ``*sigh*``, notes."""
    return _REMARK.fullmatch(text.strip()) is not None


def read_result(path: Path) -> dict[str, Any]:
    """The JSON that the program wrote.

    Raises:
        GenerationError: it wrote none that can be read.
    """
    try:
        # Its strings are the model's bytes: control characters are not escaped, and a character may be cut.
        found: dict[str, Any] = json.loads(path.read_bytes().decode("utf-8", "replace"), strict=False)
        found["transcription"], found["result"]["language"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise GenerationError(f"The program wrote no result that can be read ({type(exc).__name__}).") from exc
    return found


def segments_of(result: dict[str, Any], duration: float, *, words: bool) -> Iterator[Segment]:
    """The segments of the JSON, with times in seconds."""
    for item in result["transcription"]:
        start, end = _times(item, duration)
        found = tuple(_words(item.get("tokens") or (), duration)) if words else ()
        yield Segment(str(item["text"]).strip(), start, end, found, language=str(result["result"]["language"]))


def _words(tokens: Any, duration: float) -> Iterator[Word]:
    """The tokens joined to words: a word begins with a space."""
    text, start, end, chances = "", 0.0, 0.0, list[float]()
    for token in tokens:
        piece = str(token["text"])
        if _SPECIAL.fullmatch(piece) or not piece:
            continue
        if piece[0].isspace() and text.strip():
            yield Word(text, start, end, sum(chances) / len(chances))
            text, chances = "", []
        begin, finish = _times(token, duration)
        start, end = (start, max(end, finish)) if text else (begin, finish)
        text += piece
        chances.append(float(token.get("p", 0.0)))
    if text.strip():
        yield Word(text, start, end, sum(chances) / len(chances))


def _times(item: dict[str, Any], duration: float) -> tuple[float, float]:
    return _within(int(item["offsets"]["from"]), int(item["offsets"]["to"]), duration)


def _within(start: int, end: int, duration: float) -> tuple[float, float]:
    """Milliseconds as seconds, in order and inside the recording."""
    first = min(max(0, start) / 1000, duration)
    return first, max(first, min(end / 1000, duration))
