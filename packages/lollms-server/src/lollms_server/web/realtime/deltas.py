"""What is told of a text that may still change, to clients that can only add to what they have.

OpenAI's events of a transcription are parts that are put one behind the other. What is heard of an utterance that goes
on is another text each time, mostly the one before with more behind it. The event at the end has the text that counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_END = " .,;:!?…。，、！？-"  # behind what may go on
# A word, or one character where there are no blanks between words.
_ALONE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_WORD = re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+")
_LONGEST = 2000  # characters; what is longer is compared by its beginning alone


class Deltas:
    """Of one utterance.

    Attributes:
        sent: all of it so far.
    """

    def __init__(self) -> None:
        self.sent = ""

    def more(self, text: str, *, final: bool) -> str:
        """What is added, now that it is heard as ``text``; "" where that is nothing new."""
        text = text.strip() if final else text.strip().rstrip(_END)
        if text.startswith(self.sent):
            added = text[len(self.sent) :]
        elif len(text) + len(self.sent) > _LONGEST:
            added = ""
        else:
            added = _behind(self.sent, text)
        self.sent += added
        return added


def _behind(sent: str, text: str) -> str:
    """What of ``text`` comes behind the words that were sent, of which some were others."""
    words = list(_WORD.finditer(text))
    before = [_plain(found[0]) for found in _WORD.finditer(sent)]
    distances = _distances(before, [_plain(found[0]) for found in words])
    first = min(range(len(words) + 1), key=lambda count: (distances[count], abs(count - len(before))))
    if first == len(words):
        return ""
    start = words[first].start()
    return text[start - 1 if start and text[start - 1].isspace() else start :]


def _distances(before: Sequence[str], words: Sequence[str]) -> list[int]:
    """How many words have to change (Levenshtein) until ``before`` is the first 0, 1, 2 ... of ``words``."""
    row = list(range(len(words) + 1))
    for number, known in enumerate(before, 1):
        row, above = [number], row
        for at, word in enumerate(words):
            row.append(min(above[at] + (known != word), above[at + 1] + 1, row[at] + 1))
    return row


def _plain(word: str) -> str:
    return word.strip(_END).casefold()
