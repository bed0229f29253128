"""Which phonemes of a spoken sentence are which word's.

Engines make phonemes of a whole sentence, in which words are joined ("on the" is one group) or are several ("23"), and
sound other than alone. So each word is made phonemes of alone, too, and these are aligned with the sentence's as two
spellings of one word are: with the fewest changes (S. B. Needleman and C. D. Wunsch, J. Mol. Biol. 48, 1970).
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

_VOWELS = frozenset("aeiouyæøœɐɑɒɔəɚɛɜɝɞɤɨɪɯɵɶʉʊʌᵻ")
_CHANGED, _OTHER_KIND, _LEFT_OUT = 0.8, 1.4, 0.7  # what a changed phoneme costs, a vowel for a consonant, one too many
_BAND = 30  # phonemes that the two may be apart


class WordSpan(NamedTuple):
    """A word, and which phonemes of its sentence it is.

    Attributes:
        text: of the word, with what stands beside it and is not heard.
        sentence: number of the sentence, from 0.
        first, last: places of its phonemes in the sentence.
    """

    text: str
    sentence: int
    first: int
    last: int


class _Sound(NamedTuple):
    """A phoneme that is heard: in which sentence, and at which place."""

    sentence: int
    at: int
    phoneme: str


def _heard(sentences: Sequence[Sequence[str]]) -> list[_Sound]:
    """The phonemes that are sounds, without marks of stress and length, punctuation and blanks."""
    return [
        _Sound(n, at, phoneme)
        for n, sentence in enumerate(sentences)
        for at, phoneme in enumerate(sentence)
        if unicodedata.category(phoneme[0]) in ("Ll", "Lu", "Lo", "Nd")
    ]


def word_spans(
    tokens: Sequence[str], alone: Sequence[Sequence[Sequence[str]]], sentences: Sequence[Sequence[str]]
) -> list[WordSpan]:
    """Which phonemes each word is. One of which nothing is heard is shown with its neighbour.

    Args:
        tokens: the words as they are written, with their blanks and marks: joined they are the text.
        alone: of each of them, the sentences that it is when it stands alone, mostly one, phoneme by phoneme.
        sentences: the phonemes of the text, with marks and blanks, sentence by sentence.
    """
    heard = _heard(sentences)
    expected = [(n, sound.phoneme) for n, word in enumerate(alone) for sound in _heard(word)]
    owners: list[list[int]] = [[] for _ in tokens]
    pairs = fewest_changes([phoneme for _, phoneme in expected], [sound.phoneme for sound in heard])
    for place, at in enumerate(pairs):
        if at is not None:
            owners[expected[at][0]].append(place)
    spans: list[WordSpan] = []
    waiting = ""
    taken = -1
    starts = [places[0] for places in owners if places]
    for token, places in zip(tokens, owners, strict=True):
        if not places:  # nothing of it is heard: it is shown with its neighbour
            if spans:
                spans[-1] = spans[-1]._replace(text=spans[-1].text + token)
            else:
                waiting += token
            continue
        first = max(places[0], taken + 1)
        # What is heard more than is expected belongs to the word before it, unless a blank parts the two.
        follows = bisect_left(starts, places[-1] + 1)
        limit = starts[follows] if follows < len(starts) else len(heard)
        taken = places[-1]
        while taken + 1 < limit and _is_next(heard[taken], heard[taken + 1]):
            taken += 1
        sentence = heard[first].sentence
        end = max(p for p in range(first, taken + 1) if heard[p].sentence == sentence)
        spans.append(WordSpan(waiting + token, sentence, heard[first].at, heard[end].at))
        waiting = ""
    if waiting and spans:
        spans[-1] = spans[-1]._replace(text=spans[-1].text + waiting)
    return spans


def _is_next(sound: _Sound, other: _Sound) -> bool:
    return sound.sentence == other.sentence and other.at == sound.at + 1


def fewest_changes(expected: Sequence[str], heard: Sequence[str]) -> list[int | None]:
    """Which of ``expected`` each of ``heard`` is; None for what is too much."""
    rows, columns = len(heard), len(expected)
    if not columns:
        return [None] * rows
    band = _BAND + abs(rows - columns)
    far = float("inf")
    cost = [n * _LEFT_OUT if n <= band else far for n in range(columns + 1)]
    ways: list[tuple[int, bytearray]] = []  # where each row's band begins, and the way to each place in it
    for i in range(1, rows + 1):
        low = max(0, i * columns // rows - band)
        high = min(columns, i * columns // rows + band)
        way = bytearray(high - low + 1)
        row = [far] * (columns + 1)
        phoneme = heard[i - 1]
        for j in range(low, high + 1):
            least, step = cost[j] + _LEFT_OUT, 1
            if j:
                same = cost[j - 1] + _change(phoneme, expected[j - 1])
                if same <= least:
                    least, step = same, 0
                if row[j - 1] + _LEFT_OUT < least:
                    least, step = row[j - 1] + _LEFT_OUT, 2
            row[j], way[j - low] = least, step
        cost = row
        ways.append((low, way))
    found: list[int | None] = [None] * rows
    i, j = rows, columns
    while i and j:
        low, way = ways[i - 1]
        step = way[j - low]
        if step == 0:
            i, j = i - 1, j - 1
            found[i] = j
        elif step == 1:
            i -= 1
        else:
            j -= 1
    return found


def _change(one: str, other: str) -> float:
    if one == other:
        return 0.0
    return _CHANGED if (one[0] in _VOWELS) == (other[0] in _VOWELS) else _OTHER_KIND
