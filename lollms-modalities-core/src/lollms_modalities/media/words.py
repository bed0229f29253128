"""Words of a text, and words with times fitted to the text that they are of.

Joined, the texts of the words are the text, with every blank and every mark: so that a program that shows a word as it
is spoken shows the text as it was given.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from lollms_modalities.media.said import Word

# Scripts that are written without blanks between words, of which each character is spoken as a syllable or two: Han,
# kana. A mark that lengthens, or a small one, belongs to the character before it.
_ALONE = "〇々぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿\U00020000-\U0003134f"
_WITH = "ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶㇰ-ㇿ\u3099\u309a"
_TOKEN = re.compile(rf"[{_ALONE}][{_WITH}]*|[^\s{_ALONE}]+")
_OPENING = ("Ps", "Pi")
_READ_OUT = "&@%#*"  # marks that are mostly said; other than these, symbols ($, +, €) have a category of their own


def split_words(text: str) -> list[str]:
    """The words of a text; joined they are the text.

    A word has the blanks before it, and the marks around it that nobody says. Where a script has no blanks each
    character of Han or kana is one. Empty where nothing is to be said.
    """
    found: list[str] = []
    start = 0
    for match in _TOKEN.finditer(text):
        if not is_said(match[0]):
            if found and start == match.start():  # marks right behind a word are the word's, up to one that opens
                end = next((n for n, c in enumerate(match[0]) if unicodedata.category(c) in _OPENING), len(match[0]))
                found[-1] += match[0][:end]
                start += end
            continue  # others stand before the next word
        found.append(text[start : match.end()])
        start = match.end()
    if found:
        found[-1] += text[start:]
    return found


def is_said(token: str) -> bool:
    """Whether something of it is said: a letter, a digit, a symbol such as $."""
    return any(c.isalnum() or c in _READ_OUT or unicodedata.category(c)[0] == "S" for c in token)


class Fitting:
    """Words as engines tell them, fitted to a text from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def next(self, words: Iterable[Word], said: str = "") -> tuple[Word, ...] | None:
        """The next words with the text that is theirs; None where they are not the next ones of the text.

        Args:
            words: as the engine tells them. Marks that it tells, too, are no words, in a stream as in the whole.
            said: the part of the text that they are of, where it is known: what is not told as it is written
                ("twenty" and "three" of 23) is fitted to that.
        """
        told = [word for word in words if is_said(word.text)]
        found = self._as_written(told)
        return found if found is not None else self._as_said(told, said.strip())

    def _as_written(self, words: Iterable[Word]) -> tuple[Word, ...] | None:
        text, at = self._text, self._at
        found: list[Word] = []
        for word in words:
            bare = word.text.strip()
            start = text.find(bare, at)
            if start < 0 or any(map(str.isalnum, text[at:start])):
                return None
            if found:  # marks that the engine left out stay with the word before them
                behind = at + _marks(text[at:start])
                found[-1] = replace(found[-1], text=found[-1].text + text[at:behind])
                at = behind
            end = start + len(bare)
            found.append(replace(word, text=text[at:end]))
            at = end
        if found:
            self._at = self._end(at)
            found[-1] = replace(found[-1], text=found[-1].text + text[at : self._at])
        return tuple(found)

    def _as_said(self, words: Sequence[Word], part: str) -> tuple[Word, ...] | None:
        start = self._text.find(part, self._at) if part else -1
        if start < 0 or any(map(str.isalnum, self._text[self._at : start])):
            return None
        end = self._end(start + len(part))
        found = fitted(self._text[self._at : end], words)
        self._at = end if found else self._at
        return found or None

    def _end(self, at: int) -> int:
        """Where a part that is said up to there ends with its marks, and the last one with all that is left."""
        left = self._text[at:]
        return at + _marks(left) if any(map(is_said, left)) else len(self._text)


def _marks(text: str) -> int:
    """How many marks that nobody says a text begins with."""
    return next((n for n, c in enumerate(text) if c.isspace() or is_said(c)), len(text))


def fitted(text: str, words: Sequence[Word]) -> tuple[Word, ...]:
    """Words of the text as it was given, with the times of ``words``.

    Engines tell words as they say them ("twenty" and "three" of 23) or normalized. What differs is matched by what
    stands around it, and shares its time by the number of characters.
    """
    found = Fitting(text).next(words)
    if found is not None and "".join(word.text for word in found) == text:
        return found
    given = split_words(text)
    said = [word for word in words if word.text.strip()]
    if not given or not said:
        return ()
    match = SequenceMatcher(None, [*map(_plain, given)], [_plain(word.text) for word in said], autojunk=False)
    made: list[Word] = []
    for _, first, last, from_, to in match.get_opcodes():
        if last - first == to - from_:
            made += (replace(w, text=t) for t, w in zip(given[first:last], said[from_:to], strict=True))
        elif last > first:
            # Of words that the engine does not tell nothing is known but what they stand between.
            start = said[from_].start if to > from_ else said[from_ - 1].end if from_ else said[0].start
            end = said[to - 1].end if to > from_ else said[to].start if to < len(said) else said[-1].end
            made += shared(given[first:last], start, max(start, end))
    return tuple(made)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold())) or text.strip()


def shared(texts: Sequence[str], start: float, end: float) -> Iterator[Word]:
    """Words that share a stretch of time by their numbers of characters."""
    sizes = [max(1, len(text.strip())) for text in texts]
    whole, before = sum(sizes), 0
    for text, size in zip(texts, sizes, strict=True):
        begins = start + (end - start) * before / whole
        before += size
        yield Word(text, begins, start + (end - start) * before / whole)
