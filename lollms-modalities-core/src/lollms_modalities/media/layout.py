"""Words laid out as they are shown: a few lines at a time, cut where a reader would.

Cuts are chosen together, not one after the other: of all ways to cut a stretch of speech into parts that fit, the one
that costs least, where a cut inside a clause costs more than one behind a comma, that more than one behind a sentence,
and a part with a word or two more than one of the usual length. It is the method that TeX sets paragraphs with
(D. E. Knuth and M. F. Plass, "Breaking Paragraphs into Lines", 1981).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from lollms_modalities.media.said import Word
from lollms_modalities.media.words import shared

_CLOSING = "\"'”’»)\\]」』】"
_SENTENCE = re.compile(rf"[.!?…。！？｡][{_CLOSING}]*$")
_CLAUSE = re.compile(rf"[,;:–—،、，；：][{_CLOSING}]*$")
_ABBREVIATION = re.compile(r"^\W*(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|vs|etc|e\.g|i\.e|z\.B|[A-Z])\.$")
_PART = re.compile(r"\s*\S+")
# What a cut costs; what stands before it says which.
_BEHIND_SENTENCE, _BEHIND_CLAUSE, _BEHIND_WORD, _BEHIND_SHORT = 0.0, 40.0, 120.0, 160.0
_BEGUN = 150.0  # more, where a part holds the end of a sentence and not that of the next
_EACH_PART = 50.0
_EMPTINESS = 60.0  # of a part of which nothing is filled
_UNEVENNESS = 240.0  # of a line that is empty beside others
_PAUSE = 0.4  # seconds after which a cut costs half


class Limits(NamedTuple):
    """What is shown at once; None for no limit.

    Attributes:
        chars: characters of a line.
        lines: lines.
        seconds: how long.
    """

    chars: int | None
    lines: int | None
    seconds: float | None


def tokens(words: Sequence[Word], longest: int | None) -> list[Word]:
    """The words cut at the blanks in them, and where one is longer than a line; the parts share the word's time."""
    found: list[Word] = []
    for word in words:
        parts = _PART.findall(word.text)
        if longest is not None:
            parts = [piece for part in parts for piece in _pieces(part, longest)]
        if len(parts) == 1:
            found.append(replace(word, text=parts[0]))
        else:
            found += (replace(word, text=p.text, start=p.start, end=p.end) for p in shared(parts, word.start, word.end))
    return found


def _pieces(part: str, longest: int) -> Iterator[str]:
    """A word in pieces of a line at most. No mark is parted from the letter that it stands on."""
    bare = part.lstrip()
    blank = part[: len(part) - len(bare)]
    while len(bare) > longest:
        end = longest
        while end > 1 and _belongs(bare[end - 1], bare[end]):
            end -= 1
        end = end if end > 1 or longest == 1 else longest
        yield blank + bare[:end]
        blank, bare = "", bare[end:]
    yield blank + bare


def _belongs(before: str, char: str) -> bool:
    return unicodedata.combining(char) > 0 or char in "\u200d\ufe0e\ufe0f" or before == "\u200d"


def joined(part: Sequence[Word]) -> str:
    """The text of some tokens, on one line."""
    text = "".join(f" {t.text.lstrip()}" if t.text[:1].isspace() else t.text for t in part)
    return text.strip()


def parts(found: Sequence[Word], limits: Limits, label: str = "") -> list[list[Word]]:
    """The tokens in parts that can be shown at once.

    Args:
        label: what stands before the first word of each part.
    """
    count = len(found)
    if not count or _fits(found, limits, label):
        return [list(found)] if count else []
    room = (limits.chars or 0) * (limits.lines or 1)
    best: list[tuple[float, int]] = [(0.0, 0)] * (count + 1)  # of what begins at a token: its cost, where its cut is
    for first in range(count - 1, -1, -1):
        least: tuple[float, int] | None = None
        length = len(label) + 1 if label else 0
        holds_end = 0.0
        shown = _labelled(found[first : first + 1], label)
        needed, filled = 1, 0
        for last in range(first + 1, count + 1):
            for token in shown:  # counted on, not anew: long parts would take for ever
                needed, filled = _filled(needed, filled, token, limits.chars or 0)
            shown = found[last : last + 1]
            if last > first + 1 and not _fits_in(found[first], found[last - 1], needed, limits):
                break
            length += _width(found[last - 1], last == first + 1)
            empty = max(0.0, 1 - length / room) if room else 0.0
            cut = _cut_cost(found, last)
            cost = _EACH_PART + (cut + holds_end if cut else 0.0) + _EMPTINESS * empty * empty + best[last][0]
            if not cut:
                holds_end = _BEGUN
            if least is None or cost < least[0]:
                least = (cost, last)
        assert least is not None
        best[first] = least
    made = []
    first = 0
    while first < count:
        made.append(list(found[first : best[first][1]]))
        first = best[first][1]
    return made


def lines(part: Sequence[Word], limits: Limits, label: str = "") -> list[str]:
    """The lines of one part: as few as can be, of much the same length, cut as well as the parts are."""
    shown = _labelled(part, label)
    needed = 1 if limits.chars is None else _lines_needed(shown, limits.chars, len(shown))
    if limits.chars is None or needed == 1:
        return [joined(shown)]
    count = len(shown)
    even = sum(_width(token, False) for token in shown) / needed
    # Of the first lines, up to a token: what they cost at least. And for each line, where it begins if it ends there.
    before: dict[int, float] = {0: 0.0}
    begins: list[dict[int, int]] = []
    for soonest in _soonest(shown, limits.chars, needed):
        costs: dict[int, float] = {}
        back: dict[int, int] = {}
        for first, so_far in before.items():
            length = 0
            for last in range(first + 1, count + 1):
                length += _width(shown[last - 1], last == first + 1)
                if length > limits.chars and last > first + 1:
                    break
                if last < soonest:
                    continue  # the rest would need more lines than are left
                cost = so_far + _cut_cost(shown, last) + _UNEVENNESS * (1 - length / even) ** 2
                if cost < costs.get(last, float("inf")):
                    costs[last], back[last] = cost, first
        before = costs
        begins.append(back)
    made: list[str] = []
    end = count
    for back in reversed(begins):
        made.append(joined(shown[back[end] : end]))
        end = back[end]
    return made[::-1]


def _soonest(shown: Sequence[Word], chars: int, needed: int) -> list[int]:
    """For each line, the token before which it may end at the soonest so that the lines after it hold the rest."""
    soonest = [len(shown)]
    while len(soonest) < needed:
        first, length = soonest[-1], 0
        while first > 0:
            # A token that begins the line has no blank before it; those behind it keep theirs.
            begun = length + _width(shown[first - 1], True)
            if length and begun > chars:
                break
            first, length = first - 1, length + _width(shown[first - 1], False)
        soonest.append(first)
    return soonest[::-1]


def _fits(part: Sequence[Word], limits: Limits, label: str) -> bool:
    needed = 1
    if limits.chars is not None and limits.lines is not None:
        needed = _lines_needed(_labelled(part, label), limits.chars, limits.lines + 1)
    return _fits_in(part[0], part[-1], needed, limits)


def _fits_in(first: Word, last: Word, needed: int, limits: Limits) -> bool:
    if limits.seconds is not None and last.end - first.start > limits.seconds:
        return False
    return limits.chars is None or limits.lines is None or needed <= limits.lines


def _lines_needed(shown: Sequence[Word], chars: int, enough: int) -> int:
    """How few lines some tokens need; ``enough`` where that many are reached."""
    needed, length = 1, 0
    for token in shown:
        needed, length = _filled(needed, length, token, chars)
        if needed >= enough:
            break
    return needed


def _filled(needed: int, length: int, token: Word, chars: int) -> tuple[int, int]:
    """The lines and the length of the last one with one token more."""
    longer = length + _width(token, not length)
    if longer > chars and longer > _width(token, True):
        return needed + 1, _width(token, True)
    return needed, longer


def _labelled(part: Sequence[Word], label: str) -> Sequence[Word]:
    if not label:
        return part
    first = part[0]
    spaced = replace(first, text=f" {first.text.lstrip()}")
    return [Word(label, first.start, first.start), spaced, *part[1:]]


def _width(token: Word, begins_line: bool) -> int:
    bare = len(token.text.strip())
    return bare if begins_line or not token.text[:1].isspace() else bare + 1


def _cut_cost(found: Sequence[Word], last: int) -> float:
    """What a cut before token ``last`` costs."""
    if last == len(found):
        return 0.0
    before, after = found[last - 1], found[last]
    text = before.text.strip()
    follows = after.text.lstrip()[:1]
    if _SENTENCE.search(text) and not (_ABBREVIATION.match(text) or follows.islower()):
        return _BEHIND_SENTENCE
    # A short word (the, of, et, zu) mostly belongs to what follows it.
    cost = _BEHIND_CLAUSE if _CLAUSE.search(text) else _BEHIND_SHORT if len(text) <= 3 else _BEHIND_WORD
    return cost / 2 if after.start - before.end >= _PAUSE else cost
