"""Who may begin: one bounded queue a model, fair between callers.

All of it runs on the event loop, so that nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from lollms_server.room.errors import Ending, QueueFull

_FIRST_GUESS = 1.0  # seconds of a call, before any was measured
_WEIGHT = 0.2  # of the newest duration in the running mean

Turn = asyncio.Future[None]


class Admission:
    """The queue of one model.

    Args:
        name: of the model, for messages.
        at_once: how many calls may be at work.
        max_queue: how many may wait.
        clock: seconds; for tests.
    """

    def __init__(self, name: str, at_once: int, max_queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.at_once = at_once
        self.max_queue = max_queue
        self.waiting = 0
        self.closed = False
        self._clock = clock
        self._began: dict[object, float] = {}  # those at work
        # Callers in the order of their turns, each with those of its calls that wait.
        self._queues: OrderedDict[str, deque[tuple[object, Turn]]] = OrderedDict()
        self._emptied = asyncio.Event()
        self._mean: float | None = None  # seconds of a call
        self._promised = 0.0  # when the one who was refused last was told to come back

    @property
    def at_work(self) -> int:
        """How many calls are at work."""
        return len(self._began)

    async def enter(self, place: object, who: str) -> None:
        """Wait for a place. ``place`` is what takes it and ``leave`` is given; ``who`` is what fairness goes by.

        Raises:
            QueueFull: too many wait.
            Ending: no more calls are taken.
        """
        if self.closed:
            raise self._ending()
        if self.at_work < self.at_once and not self.waiting:
            self._began[place] = self._clock()
            return
        if self.waiting >= self.max_queue:
            raise QueueFull(
                f"{self.name}: {self.at_work} calls are at work and {self.waiting} wait, which is as many as may.",
                hint="Ask again later.",
                retry_after=self.retry_after(),
            )
        turn = asyncio.get_running_loop().create_future()
        waiter = (place, turn)
        self._queues.setdefault(who, deque()).append(waiter)
        self.waiting += 1
        try:
            await turn
        except BaseException:
            if self._began.pop(place, None) is not None:
                self._serve()  # its turn had come when it was cancelled: that is another's now
            elif (queue := self._queues.get(who)) is not None and waiter in queue:
                queue.remove(waiter)
                self.waiting -= 1
                if not queue:
                    del self._queues[who]
            raise

    def leave(self, place: object, loading: float | None = 0.0) -> float:
        """Give the place to the next; the seconds for which it was taken, without those of ``loading`` the model.

        ``loading=None``: nothing was run, so that the time tells nothing of the next call's.
        """
        seconds = max(0.0, self._clock() - self._began.pop(place) - (loading or 0.0))
        if loading is not None:
            self._measure(seconds)
        self._serve()
        return seconds

    def _measure(self, seconds: float) -> None:
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)

    def resize(self, at_once: int) -> None:
        """From now on so many may be at work."""
        self.at_once = at_once
        self._serve()

    async def empty(self) -> None:
        """Wait until no call is at work and none waits."""
        while self._began or self._queues:
            self._emptied.clear()
            await self._emptied.wait()

    def close(self) -> None:
        """Refuse those who wait, and all who come."""
        self.closed = True
        queues, self._queues, self.waiting = self._queues, OrderedDict(), 0
        for queue in queues.values():
            for _, turn in queue:
                if not turn.done():
                    turn.set_exception(self._ending())

    def retry_after(self) -> float:
        """Seconds until there is room for one more who waits, as it is told to one who is refused.

        Each is told the time of a place of its own, so that they do not all come back at once.
        """
        now = self._clock()
        self._promised = max(now + self._next_end(), self._promised + self._expected() / self.at_once)
        return float(max(1, math.ceil(self._promised - now)))

    def next_end(self) -> float:
        """Seconds until the next call ends, by the mean of those that were measured; at least one."""
        return float(max(1, math.ceil(self._next_end())))

    def _expected(self) -> float:
        """Seconds of a call; before one was measured, what those at work have taken so far."""
        if self._mean is not None:
            return self._mean
        return max([_FIRST_GUESS, *(self._clock() - began for began in self._began.values())])

    def _next_end(self) -> float:
        now, expected = self._clock(), self._expected()
        return min((max(0.0, expected - (now - began)) for began in self._began.values()), default=0.0)

    def _serve(self) -> None:
        """Give free places to those who wait: one caller after the other, of each the call that waits longest."""
        while self.at_work < self.at_once and self._queues:
            who, queue = self._queues.popitem(last=False)
            place, turn = queue.popleft()
            self.waiting -= 1
            if queue:
                self._queues[who] = queue  # behind the others
            if not turn.done():
                self._began[place] = self._clock()
                turn.set_result(None)
        if not self._began:
            self._emptied.set()

    def _ending(self) -> Ending:
        return Ending(f"{self.name} is no longer served here.", hint="Ask again later.", retry_after=5.0)
