"""How far the turns that were found are from those that were spoken."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from lollms_modalities import Turn


class Errors(NamedTuple):
    """The parts of a diarization error, in seconds of speech.

    Attributes:
        missed: spoken, and nobody was found.
        false_alarm: found, and nobody spoke.
        confusion: somebody else was found.
        spoken: all that was.
    """

    missed: float
    false_alarm: float
    confusion: float
    spoken: float

    @property
    def rate(self) -> float:
        """The diarization error rate."""
        return (self.missed + self.false_alarm + self.confusion) / self.spoken


def diarization_errors(spoken: Iterable[Turn], found: Iterable[Turn]) -> Errors:
    """As the Rich Transcription evaluations of NIST define it (RT-09 Evaluation Plan, section 6.1), without a collar.

    Names do not count: speakers are matched one to one, as makes the most of what they share.
    """
    spoken, found = list(spoken), list(found)
    times = sorted({time for turn in (*spoken, *found) for time in (turn.start, turn.end)})
    missed = false_alarm = both = total = 0.0
    shared: dict[tuple[str, str], float] = {}
    for start, end in pairwise(times):
        truly = {turn.speaker for turn in spoken if turn.start <= start and end <= turn.end}
        said = {turn.speaker for turn in found if turn.start <= start and end <= turn.end}
        length = end - start
        total += length * len(truly)
        missed += length * max(0, len(truly) - len(said))
        false_alarm += length * max(0, len(said) - len(truly))
        both += length * min(len(truly), len(said))
        for pair in ((one, other) for one in truly for other in said):
            shared[pair] = shared.get(pair, 0.0) + length
    return Errors(missed, false_alarm, both - _most(shared), total)


def _most(shared: dict[tuple[str, str], float]) -> float:
    """The most that a one-to-one matching shares: by each set of those who are taken, the best for those before."""
    best: dict[frozenset[str], float] = {frozenset(): 0.0}
    for one in sorted({pair[0] for pair in shared}):
        after = dict(best)
        for taken, value in best.items():
            for (truly, said), length in shared.items():
                if truly == one and said not in taken:
                    key = taken | {said}
                    after[key] = max(after.get(key, 0.0), value + length)
        best = after
    return max(best.values())
