"""Text into pieces that are spoken one after the other.

Piper speaks a sentence in one go, which takes time and memory in proportion to its length. Pieces are sentences; one
that is longer than ``LONGEST`` characters is cut at a clause, else between words, so that the first sound comes early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 200  # characters; some 0.6 s of work on one core

_CLOSING = "\"'”’»)\\]"
# A stop, a blank, and something that may begin a sentence; stops of scripts without blanks end one by themselves.
_SENTENCE_END = re.compile(rf"(?<=[.!?…])[{_CLOSING}]*\s+(?=[^\sa-z0-9,;:)])|(?<=[。！？｡])[{_CLOSING}」』]*|\n\s*\n")
_ABBREVIATION = re.compile(r"(?:^|\W)(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|No|vs|etc|e\.g|i\.e|[A-Z])\.$")
_CLAUSE_END = re.compile(r"[,;:–—،、，；：][\"'”’»)]*\s*")
_BLANK = re.compile(r"\s+")


def pieces(text: str) -> Iterator[str]:
    """The text in pieces, without the blanks around them; nothing else is lost or changed."""
    for sentence in _sentences(text):
        yield from _cut(sentence.strip())


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


def _cut(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST:
        end = _last_end(_CLAUSE_END, sentence) or _last_end(_BLANK, sentence) or LONGEST
        yield sentence[:end].strip()
        sentence = sentence[end:].strip()
    if sentence:
        yield sentence


def _last_end(pattern: re.Pattern[str], sentence: str) -> int | None:
    """Where the last match in the first ``LONGEST`` characters ends; not in their first quarter, or pieces get tiny."""
    ends = [match.end() for match in pattern.finditer(sentence, LONGEST // 4, LONGEST)]
    return ends[-1] if ends else None
