"""What may be said next, as a graph for the decoder; and which way through it was taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lollms_align.numbers import Words

SKIP = 1e-25  # probability that a whole sentence is not said
Arc = tuple[int, int, float, str] | tuple[int, int, float]


class Heard(NamedTuple):
    """A dictionary's word that was heard, with its first and last frame."""

    word: str
    first: int
    last: int


class Graph:
    """The words of a stretch of text one after the other, each in all its ways.

    Args:
        ways: how each word may be said; an empty list is a word of which nothing is heard.
        sentences: the first word of each sentence that ends in the stretch, and the first one after it. Such a sentence
            may be left out as a whole.
    """

    def __init__(self, ways: Sequence[Sequence[Words]], sentences: Sequence[tuple[int, int]]) -> None:
        self._ways = ways
        self._skips = {first: last for first, last in sentences}

    def arcs(self, *, whole: bool) -> tuple[int, list[Arc]]:
        """The last state, and the arcs from state to state; the first state is 0.

        Args:
            whole: whether all of it is said; otherwise it may end behind any word.
        """
        count = len(self._ways)
        last = count if whole else count + 1
        state = count + 2
        arcs: list[Arc] = []
        for n, ways in enumerate(self._ways):
            for words in ways:
                at = n
                for word in words[:-1]:
                    arcs.append((at, state, 1.0, word))
                    at, state = state, state + 1
                arcs.append((at, n + 1, 1.0, words[-1]) if words else (n, n + 1, 1.0))
        arcs += ((first, end, SKIP) for first, end in self._skips.items())
        if not whole:
            arcs += ((n, last, 1.0) for n in range(count + 1))
        return last, arcs

    def taken(self, heard: Sequence[Heard]) -> list[tuple[int, int] | None]:
        """Which of ``heard`` each word is, from and to, up to the last that was heard; None where it was left out."""
        # By dynamic programming over the text's words and those heard; of several ways the one that leaves out least.
        reached: list[dict[int, tuple[int, int, int]]] = [{} for _ in range(len(self._ways) + 1)]
        reached[0][0] = (0, -1, -1)  # what is left out so far, and the text's and the heard word that it came from
        for n in range(len(self._ways)):
            for at, (missing, _, _) in list(reached[n].items()):
                for words in self._ways[n]:
                    end = at + len(words)
                    if end <= len(heard) and all(h.word == w for h, w in zip(heard[at:end], words, strict=True)):
                        _reach(reached[n + 1], end, (missing, n, at))
                if n in self._skips:
                    _reach(reached[self._skips[n]], at, (missing + self._skips[n] - n, n, at))
        # What ends in the middle of a word that is said as several is told up to the word before it.
        ends = [(-at, missing, n) for n, states in enumerate(reached) for at, (missing, _, _) in states.items()]
        at, _, n = min(ends)
        at = -at
        found: list[tuple[int, int] | None] = []
        while n:
            _, before, start = reached[n][at]
            skipped = n - before > 1 or (start == at and self._ways[before] != [[]])
            found += [None] * (n - before) if skipped else [(start, at)]
            n, at = before, start
        return found[::-1]


def _reach(states: dict[int, tuple[int, int, int]], at: int, way: tuple[int, int, int]) -> None:
    if at not in states or way[0] < states[at][0]:
        states[at] = way
