"""The windows in which voices are looked at, and who speaks in each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_speakers.voice_activity import Region

LENGTH = 1.6  # seconds, which the encoder was trained on
STEP = 0.4
SURE = 1.0  # seconds below which a window tells a voice badly
# What a change of speaker has to gain, as a cosine summed over the windows that differ. After a pause it is less, and
# nothing if that is so many seconds long.
_CHANGE = 0.1
_PAUSE = 0.3


class Window(NamedTuple):
    """A stretch of one region, in seconds.

    Attributes:
        region: number of the region.
    """

    start: float
    end: float
    region: int = 0

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start

    @property
    def middle(self) -> float:
        """Seconds."""
        return (self.start + self.end) / 2


def windows(regions: Iterable[Region]) -> list[Window]:
    """Windows of 1.6 s at most every 0.4 s, from the beginning of each region to its end; one in a shorter region."""
    found = []
    for number, (start, end) in enumerate(regions):
        room = end - start - LENGTH
        count = 1 if room <= 0 else math.ceil(room / STEP) + 1
        for n in range(count):
            begins = start if count == 1 else start + room * n / (count - 1)
            found.append(Window(begins, min(begins + LENGTH, end), number))
    return found


def weights(found: Sequence[Window]) -> npt.NDArray[np.float32]:
    """Seconds of speech that each window stands for; windows that overlap share theirs."""
    import numpy as np

    counts = np.bincount([w.region for w in found])
    spans: dict[int, tuple[float, float]] = {}
    for w in found:
        first, last = spans.get(w.region, (w.start, w.end))
        spans[w.region] = min(first, w.start), max(last, w.end)
    return np.array([(spans[w.region][1] - spans[w.region][0]) / counts[w.region] for w in found], np.float32)


def labels(found: Sequence[Window], alike: npt.NDArray[np.float32]) -> list[int]:
    """Who speaks in each window: the path that is most alike all in all (Viterbi, 1967).

    Args:
        found: windows in order.
        alike: how alike each is to each speaker, shape (windows, speakers).
    """
    import numpy as np

    everyone = np.arange(alike.shape[1])
    score = np.zeros(len(everyone))
    came_from = []
    before = found[0]
    for window, row in zip(found, alike, strict=True):
        pause = 0.0 if window.region == before.region else window.start - before.end
        cost = _CHANGE * max(0.0, 1 - pause / _PAUSE)
        best = int(score.argmax())
        changes = score[best] - cost > score
        came_from.append(np.where(changes, best, everyone))
        score = np.where(changes, score[best] - cost, score) + row * min(1.0, window.length / SURE)
        before = window
    path = [int(score.argmax())]
    for step in reversed(came_from[1:]):
        path.append(int(step[path[-1]]))
    return path[::-1]
