"""When each word of a text is said, from how long the voice speaks each phoneme.

Piper makes phonemes of a whole sentence, in which words are joined ("on the" is one group) or are several ("23"), and
sound other than alone. So each word is made phonemes of alone, too, and these are aligned with the sentence's as two
spellings of one word are: with the fewest changes (S. B. Needleman and C. D. Wunsch, J. Mol. Biol. 48, 1970).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities import Word, split_words

if TYPE_CHECKING:
    from piper import AudioChunk, PiperVoice

_WITH_PHONEMES = re.compile(r"\s*(?:\[\[.*?\]\]|\S)+")
_VOWELS = frozenset("aeiouyæøœɐɑɒɔəɚɛɜɝɞɤɨɪɯɵɶʉʊʌᵻ")
_CHANGED, _OTHER_KIND, _LEFT_OUT = 0.8, 1.4, 0.7  # what a changed phoneme costs, a vowel for a consonant, one too many
_BAND = 30  # phonemes that the two may be apart
_BOS, _EOS, _PAD = "^", "$", "_"


class _Sound(NamedTuple):
    """A phoneme that is heard: in which sentence, and at which place."""

    sentence: int
    at: int
    phoneme: str


class PieceWords:
    """The words of one piece of text, told sentence by sentence as they are spoken.

    Args:
        engine: the voice.
        piece: the text as it was given.
        prepare: makes of a text what Piper is to read.
        phonemes: whether what stands in double brackets are phonemes.
    """

    def __init__(self, engine: PiperVoice, piece: str, prepare: Callable[[str], str], *, phonemes: bool) -> None:
        self._engine = engine
        tokens = _WITH_PHONEMES.findall(piece) if phonemes else split_words(piece)
        self._sentences = [s for s in engine.phonemize(prepare(piece)) if s]
        alone = [_heard(engine.phonemize(prepare(token))) for token in tokens]
        self._spans = _spans(tokens, alone, _heard(self._sentences))

    def of_sentence(self, number: int, spoken: AudioChunk) -> tuple[Word, ...]:
        """The words that begin in a sentence, with times from its beginning.

        Args:
            number: of the sentence, from 0.
            spoken: what Piper has made of it, with how many samples each of its phonemes' ids lasts.
        """
        samples = [] if spoken.phoneme_id_samples is None else spoken.phoneme_id_samples.tolist()
        begins = self._begins(self._sentences[number], samples)
        last = len(begins) - 2

        def seconds(at: int) -> float:
            return begins[at] / spoken.sample_rate

        return tuple(
            Word(text, seconds(first), seconds(min(end, last) + 1))
            for text, sentence, first, end in self._spans
            if sentence == number
        )

    def _begins(self, sentence: Sequence[str], samples: Sequence[int]) -> list[int]:
        """The sample that each phoneme begins with, and the one after the last. One that the voice lacks has none."""
        ids = self._engine.config.phoneme_id_map
        before = [0, *accumulate(samples)]
        pad = len(ids[_PAD])
        at = len(ids[_BOS]) + pad
        places = [at]
        for phoneme in sentence:
            at += len(ids[phoneme]) + pad if phoneme in ids else 0
            places.append(at)
        return [before[min(place, len(before) - 1)] for place in places]


def _heard(sentences: Sequence[Sequence[str]]) -> list[_Sound]:
    """The phonemes that are sounds, without marks of stress and length, punctuation and blanks."""
    return [
        _Sound(n, at, phoneme)
        for n, sentence in enumerate(sentences)
        for at, phoneme in enumerate(sentence)
        if unicodedata.category(phoneme[0]) in ("Ll", "Lu", "Lo", "Nd")
    ]


def _spans(
    tokens: Sequence[str], alone: Sequence[Sequence[_Sound]], heard: Sequence[_Sound]
) -> list[tuple[str, int, int, int]]:
    """Text, sentence, first and last phoneme of each word."""
    expected = [(n, sound.phoneme) for n, sounds in enumerate(alone) for sound in sounds]
    owners: list[list[int]] = [[] for _ in tokens]
    pairs = _aligned([phoneme for _, phoneme in expected], [sound.phoneme for sound in heard])
    for place, at in enumerate(pairs):
        if at is not None:
            owners[expected[at][0]].append(place)
    spans: list[tuple[str, int, int, int]] = []
    waiting = ""
    taken = -1
    starts = [places[0] for places in owners if places]
    for token, places in zip(tokens, owners, strict=True):
        if not places:  # nothing of it is heard: it is shown with its neighbour
            if spans:
                text, *span = spans[-1]
                spans[-1] = (text + token, *span)  # type: ignore[assignment]
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
        spans.append((waiting + token, sentence, heard[first].at, heard[end].at))
        waiting = ""
    if waiting and spans:
        text, *span = spans[-1]
        spans[-1] = (text + waiting, *span)  # type: ignore[assignment]
    return spans


def _is_next(sound: _Sound, other: _Sound) -> bool:
    return sound.sentence == other.sentence and other.at == sound.at + 1


def _aligned(expected: Sequence[str], heard: Sequence[str]) -> list[int | None]:
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


def tells_durations(engine: PiperVoice) -> bool:
    """Whether the voice tells how long it speaks each phoneme, and its phonemes can be told from its text."""
    return len(engine.session.get_outputs()) > 1 and engine.config.phoneme_type.value in ("espeak", "text")
