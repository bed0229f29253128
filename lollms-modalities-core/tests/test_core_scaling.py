"""The rule by which an elastic pool grows and shrinks, with a clock and workers that are numbers."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from typing import Any

import pytest
from lollms_modalities import SettingsError, WorkerPolicy
from lollms_modalities.workers.scaling import Queue, Rule

RULE = Rule(0, 4, 1.0, 10.0)


@pytest.mark.parametrize(
    ("rule", "queue", "starts"),
    [
        (RULE, Queue(), 0),
        (RULE, Queue((100.0,), True), 1),  # there is none at all: waiting longer helps nobody
        (RULE, Queue((100.0,) * 9, True), 1),  # of the others nothing is known yet
        (RULE, Queue((99.5,) * 9, True, 1), 0),
        (RULE, Queue((99.0,), True, 1), 1),
        (RULE, Queue((99.0,) * 9, True, 1), 3),  # never more than four
        (RULE, Queue((99.0,) * 2, True, 3, 2), 0),  # two start already
        (RULE, Queue((99.0,) * 3, True, 2, 1, places=2), 1),
        (RULE, Queue((99.0,) * 3, True, 2, 1, places=3), 0),
        (RULE, Queue((), True), 1),  # a list of voices is asked for
        (RULE, Queue((), True, 1, 1), 0),
        (Rule(2, 4, 1.0, 10.0), Queue(workers=0), 2),
        (Rule(2, 4, 1.0, 10.0), Queue(workers=1), 1),  # one has died
        (Rule(0, 1, 0.0, 10.0), Queue((100.0,) * 5, True, 1), 0),
    ],
)
def test_workers_are_started_for_calls_that_wait_too_long(rule: Rule, queue: Queue, starts: int) -> None:
    assert rule.starts(100.0, queue) == starts


@pytest.mark.parametrize(
    ("rule", "queue", "ends"),
    [
        (RULE, Queue(workers=2, idle=(85.0, 95.0)), 1),
        (RULE, Queue(workers=2, idle=(85.0, 90.0)), 2),
        (RULE, Queue(workers=2, idle=(85.0, 90.0), any_waits=True), 0),
        (Rule(1, 4, 1.0, 10.0), Queue(workers=2, idle=(85.0, 90.0)), 1),
        (Rule(2, 4, 1.0, 10.0), Queue(workers=2, idle=(85.0, 90.0)), 0),
    ],
)
def test_workers_that_do_nothing_are_ended(rule: Rule, queue: Queue, ends: int) -> None:
    assert rule.ends(100.0, queue) == ends


class Day:
    """A pool by the clock: calls arrive, wait, and are run by workers that take a while to start."""

    def __init__(self, rule: Rule, places: int, start: float, calls: list[tuple[float, float]]) -> None:
        self.rule, self.places, self.start = rule, places, start
        self.now = 0.0
        self.waiting: deque[tuple[int, float, float]] = deque()
        self.workers: dict[int, dict[str, Any]] = {}
        self.ended: list[int] = []
        self.most = 0
        self.waited: list[float] = []
        self._count = itertools.count()
        self._events: list[tuple[float, int, str, Any]] = []
        for number, (at, length) in enumerate(calls):
            self._at(at, "comes", (number, at, length))

    def _at(self, when: float, what: str, of: Any = None) -> None:
        heapq.heappush(self._events, (when, next(self._count), what, of))

    def run(self) -> None:
        while self._events:
            self.now, _, what, of = heapq.heappop(self._events)
            if what == "comes":
                self.waiting.append(of)
            elif what == "started":
                self.workers[of].update(started=True, idle=self.now)
            elif what == "ends":
                worker, number = of
                self.workers[worker]["calls"].remove(number)
                self.workers[worker]["idle"] = self.now
                self.ended.append(number)
            self._serve()

    def _serve(self) -> None:
        for key, worker in sorted(self.workers.items(), key=lambda item: -len(item[1]["calls"])):
            while worker["started"] and self.waiting and len(worker["calls"]) < self.places:
                number, came, length = self.waiting.popleft()
                self.waited.append(self.now - came)
                worker["calls"].append(number)
                self._at(self.now + length, "ends", (key, number))
        for _ in range(self.rule.starts(self.now, self._queue())):
            key = next(self._count)
            self.workers[key] = {"started": False, "calls": [], "idle": self.now}
            self._at(self.now + self.start, "started", key)
        for key in self._idle()[: self.rule.ends(self.now, self._queue())]:
            del self.workers[key]
        self.most = max(self.most, len(self.workers))
        if (when := self.rule.look(self.now, self._queue())) is not None:
            self._at(when, "look")

    def _idle(self) -> list[int]:
        idle = [key for key, worker in self.workers.items() if worker["started"] and not worker["calls"]]
        return sorted(idle, key=lambda key: self.workers[key]["idle"])

    def _queue(self) -> Queue:
        return Queue(
            late=[came for _, came, _ in self.waiting], any_waits=bool(self.waiting), workers=len(self.workers),
            starting=sum(not worker["started"] for worker in self.workers.values()),
            idle=[self.workers[key]["idle"] for key in self._idle()], places=self.places,
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_no_call_is_left_and_all_workers_end(seed: int) -> None:
    chance = random.Random(seed)
    least = chance.choice([0, 0, 1, 2])
    most = max(1, least) + chance.randrange(6)
    rule = Rule(least, most, chance.choice([0.0, 0.5, 2.0]), chance.choice([0.0, 1.0, 20.0]))
    calls = [(chance.uniform(0, 100), chance.uniform(0, 5)) for _ in range(chance.randrange(1, 200))]
    day = Day(rule, chance.choice([1, 1, 3]), chance.choice([0.0, 0.2, 7.0]), calls)
    day.run()  # which ends: the rule asks to be asked again only where something may change
    assert sorted(day.ended) == list(range(len(calls)))
    assert day.most <= rule.most
    assert len(day.workers) == least


def test_who_can_be_served_by_more_workers_waits_no_longer_than_the_target_and_a_start() -> None:
    calls = [(float(n % 8), 3.0) for n in range(24)]
    day = Day(Rule(0, 24, 1.0, 60.0), 1, 2.0, calls)
    day.run()
    assert max(day.waited) <= 3.0
    steady = Day(RULE, 1, 2.0, [(n * 1.0, 0.9) for n in range(500)])
    steady.run()
    assert steady.most <= 3, "one is enough for this load, and what gathered while it started is soon done"


@pytest.mark.parametrize(
    "pool",
    [0, -1, True, False, 1.0, "2", None, (0, 0), (4, 2), (-1, 3), ("a", 1), (0, 8.0), (False, 2), (0, True), (1,), (1, 2, 3), {1, 2}],
)  # fmt: skip
def test_what_is_no_pool_is_told(pool: Any) -> None:
    with pytest.raises(SettingsError, match="no number of workers") as caught:
        WorkerPolicy(pool=pool)
    assert "(0, 8)" in caught.value.hint


@pytest.mark.parametrize("pool", [1, 4, (0, 1), (2, 2), [0, 8]])
def test_what_is_a_pool_is_taken(pool: Any) -> None:
    policy = WorkerPolicy(pool=pool)
    assert policy.pool == (pool if isinstance(pool, int) else tuple(pool))
    assert policy.most == (pool if isinstance(pool, int) else pool[1])
    assert (policy.rule is None) == isinstance(pool, int)


@pytest.mark.parametrize("name", ["wait_target", "idle_timeout"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True])
def test_what_is_no_number_of_seconds_is_told(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        WorkerPolicy(**{name: value})
