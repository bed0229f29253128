"""Text into pieces that are spoken one after the other.

Speech engines do a sentence in one go, which takes time and memory in proportion to its length, and many cut off what
is longer than they can take. Pieces are sentences; one that is too long is cut at a clause, else between words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lollms_modalities.calls.call import current_call

_CLOSING = "\"'”’»)\\]"
# A stop, a blank, and something that may begin a sentence; stops of scripts without blanks end one by themselves.
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[^\sa-z0-9,;:)])|(?<=[。！？｡])[{_CLOSING}」』]*|\n\s*\n")
_TAIL = 8  # characters, more than the longest abbreviation and one before it
_ABBREVIATION = re.compile(r"(?:^|\W)(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|vs|etc|e\.g|i\.e|[A-Z])\.$")
_CLAUSE_END = re.compile(r"[,;:–—،、，；：][\"'”’»)]*\s*")
_BLANK = re.compile(r"\s+")


def pieces(text: str, longest: int, measure: Callable[[str], int] = len) -> Iterator[str]:
    """The text in pieces of at most ``longest`` characters, without the blanks around them; nothing else is lost.

    Takes time in proportion to the text, and stops with the current call.

    Args:
        measure: how long a piece is, where that is not its number of characters, such as the number of its tokens.
    """
    for sentence in sentences(text):
        yield from _fitting(sentence, longest, measure)


def sentences(text: str) -> Iterator[str]:
    """The sentences of the text, without the blanks around them."""
    yield from map(str.strip, _sentences(text))


def _sentences(text: str) -> Iterator[str]:
    call = current_call()
    start = 0
    for match in _SENTENCE_END.finditer(text):
        call.check()
        # Only the end is looked at: a text of nothing but abbreviations is one sentence.
        said = match.end()
        while said > start and text[said - 1].isspace():
            said -= 1
        if said == start or _ABBREVIATION.search(text[max(start, said - _TAIL) : said]):
            continue
        yield text[start : match.end()]
        start = match.end()
    if text[start:].strip():
        yield text[start:]


def _fitting(piece: str, longest: int, measure: Callable[[str], int]) -> Iterator[str]:
    current_call().check()
    length = measure(piece)
    if length <= longest or len(piece) < 2:
        yield piece
        return
    for part in _cut(piece, max(1, len(piece) * longest // length)):
        yield from _fitting(part, longest, measure)


def _cut(sentence: str, longest: int) -> Iterator[str]:
    start = 0
    while len(sentence) - start > longest:
        ends = (_last_end(pattern, sentence, start, longest) for pattern in (_CLAUSE_END, _BLANK))
        end = next(filter(None, ends), start + longest)
        yield sentence[start:end].strip()
        blank = _BLANK.match(sentence, end)
        start = blank.end() if blank else end
    if start < len(sentence):
        yield sentence[start:]


def _last_end(pattern: re.Pattern[str], sentence: str, start: int, longest: int) -> int | None:
    """Where the last match in ``longest`` characters ends; not in their first quarter, or pieces get tiny."""
    ends = [match.end() for match in pattern.finditer(sentence, start + longest // 4, start + longest)]
    return ends[-1] if ends else None
