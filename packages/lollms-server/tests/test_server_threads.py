"""The threads of a model: one wakening of the loop for many steps, no thread more than work, and who leaves is not
waited for."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any
from unittest.mock import patch

import pytest
from lollms_server.room.threads import Threads


def run(test: Any, most: int = 4) -> None:
    """``test(threads)`` on an event loop."""

    async def main() -> None:
        threads = Threads(most, "some")
        try:
            async with asyncio.timeout(30):
                await test(threads)
        finally:
            threads.close()

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name.startswith("some_"):
            thread.join(10)
            assert not thread.is_alive()


def test_a_step_gives_what_its_function_does() -> None:
    told: contextvars.ContextVar[str] = contextvars.ContextVar("told")

    async def test(threads: Threads) -> None:
        told.set("outside")
        assert await threads.submit(told.get).result() == "outside"
        with pytest.raises(ZeroDivisionError):
            await threads.submit(lambda: 1 / 0).result()
        with pytest.raises(RuntimeError, match="StopIteration"):
            await threads.submit(next, iter(())).result()
        failing = threads.submit(lambda: 1 / 0)
        assert await failing.end() is None
        assert isinstance(failing.error, ZeroDivisionError)

    run(test)


def test_as_many_work_at_once_as_may_and_short_work_begins_few() -> None:
    async def test(threads: Threads) -> None:
        await asyncio.gather(*(threads.submit(int).result() for _ in range(100)))
        few = sum(thread.name.startswith("some_") for thread in threading.enumerate())
        together = threading.Barrier(4)
        assert sorted(await asyncio.gather(*(threads.submit(together.wait, 20).result() for _ in range(4)))) == [
            0, 1, 2, 3,
        ]  # fmt: skip
        assert few <= sum(thread.name.startswith("some_") for thread in threading.enumerate()) == 4

    run(test)


def test_whoever_leaves_does_not_wait_and_what_has_not_begun_never_does() -> None:
    async def test(threads: Threads) -> None:
        gate, ran = threading.Event(), list[int]()
        try:
            first = threads.submit(gate.wait)
            second = threads.submit(ran.append, 1)
            tasks = [asyncio.ensure_future(step.result()) for step in (first, second)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            assert second.ended
            assert not first.ended
            waiting = asyncio.ensure_future(first.end())
            await asyncio.sleep(0.05)
            assert not waiting.done()
        finally:
            gate.set()
        assert await waiting is True
        assert first.ended
        assert await threads.submit(int).result() == 0
        assert not ran

    run(test, most=1)


def test_many_that_end_are_told_together() -> None:
    async def test(threads: Threads) -> None:
        loop, last = asyncio.get_running_loop(), threading.Event()
        with patch.object(loop, "call_soon_threadsafe", wraps=loop.call_soon_threadsafe) as told:
            steps = [threads.submit(int) for _ in range(500)]
            ended = threads.submit(last.set)
            assert last.wait(20)  # meanwhile the loop has no turn
            await asyncio.gather(*(step.result() for step in steps), ended.result())
        assert told.call_count <= 2

    run(test, most=1)


def test_after_the_end_nothing_is_begun() -> None:
    async def test(threads: Threads) -> None:
        threads.close()
        with pytest.raises(RuntimeError, match="closed"):
            threads.submit(int)

    run(test)
