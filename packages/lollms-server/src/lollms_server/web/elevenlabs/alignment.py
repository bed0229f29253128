"""When each character of a text is spoken, by when its words are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lollms_modalities import Word


def aligned(words: Iterable[Word], before: float = 0.0) -> dict[str, Any]:
    """The characters of the words with their times: those of a word share its time, blanks are what lies between.

    Args:
        before: seconds at which the word before them ended.
    """
    characters: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    for word in words:
        said = word.text.strip()
        lead = len(word.text) - len(word.text.lstrip())
        blanks, trail = word.text[:lead], word.text[lead + len(said) :]
        for character in blanks:
            characters.append(character)
            starts.append(min(before, word.start))
            ends.append(word.start)
        step = (word.end - word.start) / max(1, len(said))
        for number, character in enumerate(said):
            characters.append(character)
            starts.append(word.start + number * step)
            ends.append(word.start + (number + 1) * step)
        for character in trail:
            characters.append(character)
            starts.append(word.end)
            ends.append(word.end)
        before = word.end
    return {
        "characters": characters,
        "character_start_times_seconds": [round(time, 3) for time in starts],
        "character_end_times_seconds": [round(time, 3) for time in ends],
    }
