"""The queue of a model, by counted events and a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from lollms_server.room.admission import Admission
from lollms_server.room.errors import Ending, QueueFull


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Calls of several callers in one queue; ``began`` has those that were let in, in that order."""

    def __init__(self, queue: Admission) -> None:
        self.queue = queue
        self.began: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, names: Iterable[str]) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._enter(name))
            await settled()

    async def _enter(self, name: str) -> None:
        await self.queue.enter(name, name[0])
        self.began.append(name)

    async def leave(self, name: str) -> None:
        self.queue.leave(name)
        await settled()


def test_callers_take_turns_and_each_ones_calls_keep_their_order() -> None:
    async def main() -> None:
        crowd = Crowd(Admission("m", 1, 100))
        await crowd.come(["a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1"])
        assert crowd.began == ["a1"]
        for _ in range(7):
            await crowd.leave(crowd.began[-1])
        assert crowd.began == ["a1", "a2", "b1", "c1", "a3", "b2", "a4", "a5"]
        assert crowd.queue.waiting == 0

    asyncio.run(main())


def test_one_who_floods_the_queue_delays_another_by_one_turn() -> None:
    async def main() -> None:
        crowd = Crowd(Admission("m", 2, 1000))
        await crowd.come([f"a{n}" for n in range(200)])
        await crowd.come(["b0"])
        await crowd.leave("a0")
        await crowd.leave("a1")
        assert "b0" in crowd.began[:4]

    asyncio.run(main())


def test_as_many_are_at_work_as_may_be() -> None:
    async def main() -> None:
        crowd = Crowd(Admission("m", 3, 100))
        await crowd.come([f"{who}{n}" for n in range(4) for who in "abc"])
        assert len(crowd.began) == crowd.queue.at_work == 3
        crowd.queue.resize(5)
        await settled()
        assert len(crowd.began) == crowd.queue.at_work == 5
        for name in list(crowd.began):
            await crowd.leave(name)
        assert crowd.queue.at_work == 5
        assert crowd.queue.waiting == 2

    asyncio.run(main())


@pytest.mark.parametrize("when", ["waiting", "let in"])
def test_a_call_that_is_cancelled_leaves_no_hole(when: str) -> None:
    async def main() -> None:
        crowd = Crowd(Admission("m", 1, 2))
        await crowd.come(["a1", "b1", "c1"])
        if when == "let in":
            crowd.queue.leave("a1")  # b1's turn has come, and it has not run since
        crowd.tasks["b1"].cancel()
        await settled()
        if when == "waiting":
            assert crowd.queue.waiting == 1
            await crowd.leave("a1")
        assert crowd.began == ["a1", "c1"]
        await crowd.leave("c1")
        assert (crowd.queue.at_work, crowd.queue.waiting) == (0, 0)
        await crowd.come(["d1"])
        assert crowd.began[-1] == "d1"

    asyncio.run(main())


def test_a_full_queue_says_when_there_is_room_by_what_was_measured() -> None:
    async def main() -> None:
        clock = Clock()
        queue = Admission("m", 1, 1, clock)
        for seconds in (8.0, 8.0, 8.0):
            await queue.enter("warm", "a")
            clock.now += seconds
            queue.leave("warm")
        await queue.enter("a1", "a")
        waiting = asyncio.create_task(queue.enter("a2", "a"))
        await settled()
        clock.now += 3.0
        told = []
        for _ in range(3):
            with pytest.raises(QueueFull) as caught:
                await queue.enter("b", "b")
            told.append(caught.value.retry_after)
        # The call at work ends in 5 seconds; those who were refused are not all told that.
        assert told == [5.0, 13.0, 21.0]
        waiting.cancel()

    asyncio.run(main())


def test_the_time_of_loading_does_not_count() -> None:
    async def main() -> None:
        clock = Clock()
        queue = Admission("m", 1, 0, clock)
        await queue.enter("first", "a")
        clock.now += 62.0
        assert queue.leave("first", 60.0) == 2.0
        await queue.enter("second", "a")
        with pytest.raises(QueueFull) as caught:
            await queue.enter("third", "a")
        assert caught.value.retry_after == 2.0

    asyncio.run(main())


def test_without_a_measure_it_goes_by_how_long_those_at_work_take() -> None:
    async def main() -> None:
        clock = Clock()
        queue = Admission("m", 2, 0, clock)
        await queue.enter("a", "a")
        await queue.enter("b", "b")
        clock.now += 40.0
        with pytest.raises(QueueFull) as caught:
            await queue.enter("c", "c")
        assert 1.0 <= caught.value.retry_after <= 40.0

    asyncio.run(main())


def test_the_end_refuses_those_who_wait_and_those_who_come() -> None:
    async def main() -> None:
        crowd = Crowd(Admission("m", 1, 10))
        await crowd.come(["a1", "b1", "c1"])
        crowd.queue.close()
        for name in ("b1", "c1"):
            with pytest.raises(Ending):
                await crowd.tasks[name]
        with pytest.raises(Ending):
            await crowd.queue.enter("d1", "d")
        await crowd.leave("a1")
        await crowd.queue.empty()

    asyncio.run(main())
