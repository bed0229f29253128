"""When an elastic pool starts and ends workers: a rule over its queue, which neither reads a clock nor starts anything.

All times are seconds of one clock, such as ``time.monotonic()``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Queue(NamedTuple):
    """What a pool looks like now.

    Attributes:
        late: when each call that waits for a free place came, the first first.
        any_waits: whether anything waits, for a free place or just for some worker.
        workers: how many workers there are, with ``starting`` ones that cannot be asked yet.
        idle: since when each that does nothing has done nothing, the longest first.
        places: how many calls one worker runs side by side.
    """

    late: Sequence[float] = ()
    any_waits: bool = False
    workers: int = 0
    starting: int = 0
    idle: Sequence[float] = ()
    places: int = 1


class Rule(NamedTuple):
    """The rule.

    Attributes:
        least: workers that there always are.
        most: more than these there never are.
        wait: seconds that a call may wait before a worker is started for it.
        idle: seconds after which a worker that does nothing is ended.
    """

    least: int
    most: int
    wait: float
    idle: float

    def starts(self, now: float, queue: Queue) -> int:
        """How many workers are to be started now.

        Those that start already will serve as many late calls as they have places. Where there is none at all, nobody
        could be served by waiting longer.
        """
        late = sum(now - came >= self.wait for came in queue.late)
        wanted = max(
            math.ceil(late / queue.places) - queue.starting,
            self.least - queue.workers,
            1 if queue.any_waits and not queue.workers else 0,
        )
        return max(0, min(wanted, self.most - queue.workers))

    def ends(self, now: float, queue: Queue) -> int:
        """How many of those that do nothing, the longest idle first, are to be ended now."""
        if queue.any_waits:
            return 0
        over = sum(now - since >= self.idle for since in queue.idle)
        return max(0, min(over, queue.workers - self.least))

    def look(self, now: float, queue: Queue) -> float | None:
        """The time at which the rule may say something else, if nothing happens before; None for never."""
        times: list[float] = []
        if queue.workers < self.most:
            times += [came + self.wait for came in queue.late]
        if queue.workers > self.least:
            times += [since + self.idle for since in queue.idle]
        return min((when for when in times if when > now), default=None)
