"""What a worker's engine prints: read, bounded, logged."""

from __future__ import annotations

import codecs
import logging
import os
import re
from collections import deque
from collections.abc import Callable

_TAIL = 60  # lines of what a worker printed that an error shows; a crash prints the stack of every thread
_WIDTH = 1000  # characters of a line; a longer one is told as several
_SHOWN = 8000  # characters that an error shows
_LONGEST_SECRET = 4096  # characters
_LINE_END = re.compile(r"\r\n?|\n")


class Output:
    """What a worker prints, line by line: it goes to the log, and the last of it is kept. Both are bounded.

    Args:
        log: gets each line; at level DEBUG those that a carriage return lets the next one overwrite, as bars do.
        clean: takes the secrets out of a text.
    """

    def __init__(self, log: logging.Logger, clean: Callable[[str], str]) -> None:
        self._log = log
        self._clean = clean
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self._overwritten = False

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take in more of it; ``final`` is the end."""
        text = self._rest + self._decoder.decode(data, final)
        at = 0
        for end in _LINE_END.finditer(text):
            if end.group() == "\r" and end.end() == len(text) and not final:
                break  # it may be half of a line's end
            self._line(text[at : end.start()], passing=end.group() == "\r")
            at = end.end()
        rest = text[at:]
        if final and rest:
            self._line(rest, passing=False)
        elif len(rest) > _LONGEST_SECRET + _WIDTH:
            # No end in sight. A secret at the end of what is there may be half one.
            rest = self._clean(rest)
            whole = max(0, len(rest) - _LONGEST_SECRET)
            self._line(rest[:whole], passing=False)
            rest = rest[whole:]
        self._rest = "" if final else rest

    def last_lines(self) -> list[str]:
        """The last lines, as many as fit into an error."""
        kept: list[str] = []
        room = _SHOWN
        for line in reversed(self._lines.copy()):
            room -= len(line)
            if room < 0:
                break
            kept.append(line)
        return kept[::-1]

    def _line(self, text: str, *, passing: bool) -> None:
        text = self._clean(text).rstrip()
        if passing and not text:
            return  # bars begin with a carriage return
        if self._overwritten and self._lines:
            self._lines.pop()
        self._overwritten = passing
        for start in range(0, max(1, len(text)), _WIDTH):
            part = text[start : start + _WIDTH]
            if start and passing:
                break
            self._lines.append(part)
            self._log.log(logging.DEBUG if passing else logging.INFO, "%s", part)


def above_two(descriptor: int) -> int:
    """A descriptor above 2. Where this program has closed some of its first three, what is opened next gets their
    numbers, which mean input and output to a child, and to whatever here prints."""
    if descriptor > 2:
        return descriptor
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved
