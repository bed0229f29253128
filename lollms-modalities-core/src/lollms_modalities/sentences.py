"""Text into pieces that are spoken one after the other.

Speech engines do a sentence in one go, which takes time and memory in proportion to its length, and many cut off what
is longer than they can take. Pieces are sentences; one that is too long is cut at a clause, else between words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_CLOSING = "\"'”’»)\\]"
# A stop, a blank, and something that may begin a sentence; stops of scripts without blanks end one by themselves.
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[^\sa-z0-9,;:)])|(?<=[。！？｡])[{_CLOSING}」』]*|\n\s*\n")
_ABBREVIATION = re.compile(r"(?:^|\W)(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|vs|etc|e\.g|i\.e|[A-Z])\.$")
_CLAUSE_END = re.compile(r"[,;:–—،、，；：][\"'”’»)]*\s*")
_BLANK = re.compile(r"\s+")


def pieces(text: str, longest: int, measure: Callable[[str], int] = len) -> Iterator[str]:
    """The text in pieces of at most ``longest`` characters, without the blanks around them; nothing else is lost.

    Args:
        measure: how long a piece is, where that is not its number of characters, such as the number of its tokens.
    """
    for sentence in sentences(text):
        yield from _fitting(sentence, longest, measure)


def sentences(text: str) -> Iterator[str]:
    """The sentences of the text, without the blanks around them."""
    yield from map(str.strip, _sentences(text))


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.end()]
        if not sentence.strip() or _ABBREVIATION.search(sentence.rstrip()):
            continue
        yield sentence
        start = match.end()
    if text[start:].strip():
        yield text[start:]


def _fitting(piece: str, longest: int, measure: Callable[[str], int]) -> Iterator[str]:
    length = measure(piece)
    if length <= longest or len(piece) < 2:
        yield piece
        return
    for part in _cut(piece, max(1, len(piece) * longest // length)):
        yield from _fitting(part, longest, measure)


def _cut(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        end = _last_end(_CLAUSE_END, sentence, longest) or _last_end(_BLANK, sentence, longest) or longest
        yield sentence[:end].strip()
        sentence = sentence[end:].strip()
    if sentence:
        yield sentence


def _last_end(pattern: re.Pattern[str], sentence: str, longest: int) -> int | None:
    """Where the last match in the first ``longest`` characters ends; not in their first quarter, or pieces get tiny."""
    ends = [match.end() for match in pattern.finditer(sentence, longest // 4, longest)]
    return ends[-1] if ends else None
