"""Subtitles: what was said, cut into cues that can be read, in the formats that players know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from lollms_modalities.errors import OptionError
from lollms_modalities.media.layout import Limits, lines, parts, tokens
from lollms_modalities.media.said import Segment, Word
from lollms_modalities.media.words import fitted, shared, split_words

_SHORTEST = 0.001  # seconds; players drop a cue that ends when it begins
_GLIMPSE, _VISIBLE = 0.1, 0.5  # seconds: a cue that is shorter than the one is shown for the other, where there is room
_BRACKETS = str.maketrans("[]", "()")
_SLOWEST = 2.0  # characters a second; the rest of a segment that takes longer, and does not tell its words, is silence


class Cue(NamedTuple):
    """What is shown at once.

    Attributes:
        start, end: seconds.
        lines: of text, in which no format's marks are escaped.
        speaker: who says it, or None.
    """

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None


def limits_of(max_chars: int | None, max_lines: int | None, max_seconds: float | None) -> Limits:
    """What is shown at once, checked.

    Raises:
        OptionError: less than a character, a line, or any time.
    """
    given = {"max_chars": max_chars, "max_lines": max_lines, "max_seconds": max_seconds}
    for name, value in given.items():
        number = isinstance(value, (int, float) if name == "max_seconds" else int) and not isinstance(value, bool)
        if value is not None and not (number and value > 0):
            raise OptionError(
                f"{name}={value!r} leaves nothing to be shown.",
                hint="Give a number above 0, or None for no limit.",
                names=[name],
            )
    return Limits(max_chars, max_lines, max_seconds)


def to_srt(segments: Iterable[Segment], limits: Limits) -> str:
    """SubRip, in which speakers stand in brackets. An arrow "-->" in a text, which would be read as times, is "->"."""
    made = enumerate(cues(segments, limits, labelled=True), 1)
    return "\n".join(f"{n}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_srt_text(cue)}\n" for n, cue in made)


def to_vtt(segments: Iterable[Segment], limits: Limits) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/), in which speakers are voices."""
    made = cues(segments, limits)
    return "WEBVTT\n\n" + "\n".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_vtt_text(cue)}\n" for cue in made
    )


def to_tsv(segments: Iterable[Segment], limits: Limits) -> str:
    """A row for each cue, its times in milliseconds, as Whisper's own program writes them."""
    made = cues(segments, limits)
    with_speaker = any(cue.speaker for cue in made)
    rows = ["\t".join(("start", "end", *(("speaker",) if with_speaker else ()), "text"))]
    for cue in made:
        speaker = (_one_line(cue.speaker or ""),) if with_speaker else ()
        times = (str(round(cue.start * 1000)), str(round(cue.end * 1000)))
        rows.append("\t".join((*times, *speaker, _one_line(" ".join(cue.lines)))))
    return "\n".join(rows) + "\n"


def cues(segments: Iterable[Segment], limits: Limits, *, labelled: bool = False) -> list[Cue]:
    """The cues in the order of their beginnings; no two are shown at once.

    A segment begins a cue, and so does another speaker.

    Args:
        labelled: whether a speaker's name takes room in the first line.
    """
    made = sorted((cue for s in segments for cue in _of_segment(s, limits, labelled)), key=lambda cue: cue.start)
    return list(_apart(made))


def _of_segment(segment: Segment, limits: Limits, labelled: bool) -> Iterator[Cue]:
    text = segment.text.strip()
    if not text:
        return
    words = _words(segment, text)
    first = True
    turns = [list(turn) for _, turn in groupby(words, key=lambda word: word.speaker or segment.speaker)]
    for n, turn in enumerate(turns):
        speaker = turn[0].speaker or segment.speaker
        name = _one_line(speaker) if speaker else None
        own = _label(name, limits) if labelled and name else ""
        taken = len(own) + 1 if own and limits.lines == 1 else 0
        found = tokens(turn, None if limits.chars is None else max(1, limits.chars - taken))
        shown = parts(found, limits, own)
        for m, part in enumerate(shown):
            last = n == len(turns) - 1 and m == len(shown) - 1
            start = min(segment.start, part[0].start) if first else part[0].start
            end = max(segment.end, part[-1].end) if last else part[-1].end
            kept = _own_lines(segment.text, limits) if first and last and not own else None
            shown_lines = kept or lines(part, limits, own)
            if limits.seconds is not None and end - start > limits.seconds and segment.words:
                start, end = part[0].start, part[-1].end
            yield Cue(*_held(start, end, limits.seconds), tuple(shown_lines), name)
            first = False


def _words(segment: Segment, text: str) -> list[Word]:
    if segment.words and (words := fitted(text, segment.words)):
        return list(words)
    seconds = min(segment.end - segment.start, len(text) / _SLOWEST)
    return list(shared(split_words(text) or [text], segment.start, segment.start + max(0.0, seconds)))


def _own_lines(text: str, limits: Limits) -> list[str] | None:
    """The lines that a segment's text has itself, where they can be shown as they are."""
    own = [line.strip() for line in text.splitlines() if line.strip()]
    if limits.lines is not None and len(own) > limits.lines:
        return None
    return own if limits.chars is None or all(len(line) <= limits.chars for line in own) else None


def _label(name: str, limits: Limits) -> str:
    """A speaker's name as it stands before the text, shortened where it would leave no room."""
    name = name.translate(_BRACKETS)  # the first "]" ends a label
    label = f"[{name}]"
    room = limits.chars if limits.chars is None or limits.lines != 1 else limits.chars // 2
    if room is None or len(label) <= room:
        return label
    return f"[{name[: room - 3]}…]" if room > 3 else ""


def _held(start: float, end: float, seconds: float | None) -> tuple[float, float]:
    # Rounded first, so that the shortest cue does not vanish when it is written in milliseconds.
    start = max(0.0, round(start, 3))
    if seconds is not None:
        end = min(end, start + seconds)
    return start, max(round(end, 3), start)


def _apart(made: list[Cue]) -> Iterator[Cue]:
    free = 0.0
    for n, cue in enumerate(made):
        start = max(cue.start, free)
        follows = made[n + 1].start if n + 1 < len(made) else float("inf")
        end = max(start, cue.end)
        if end - start < _GLIMPSE:
            end = max(end, min(start + _VISIBLE, follows))
        if end > follows:  # who speaks next is shown next, but nobody is left out
            end = max(follows, min(end, start + _GLIMPSE))
        end = max(end, start + _SHORTEST)
        free = end = round(end, 3)
        yield cue._replace(start=round(start, 3), end=end)


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _srt_text(cue: Cue) -> str:
    # A line with an arrow would be read as times.
    return "\n".join(re.sub("-{2,}>", "->", line) for line in cue.lines)


def _vtt_text(cue: Cue) -> str:
    text = "\n".join(map(_escaped, cue.lines))
    return text if cue.speaker is None else f"<v {_escaped(cue.speaker)}>{text}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
