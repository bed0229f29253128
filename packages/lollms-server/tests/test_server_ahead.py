"""Items of a stream on their way to the loop: quick ones together, none later for it, and slow ones only when asked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lollms_server.room.ahead import Ahead
from lollms_server.room.threads import Step, Threads


def run(items: Callable[[], Iterator[int]], test: Any) -> int:
    """``test(ahead)`` on an event loop, with what takes these items; how many steps that took."""
    steps: list[Step[None]] = []

    async def main() -> None:
        threads = Threads(1, "some")

        def submit(fn: Callable[[], None]) -> Step[None]:
            steps.append(threads.submit(fn))
            return steps[-1]

        try:
            async with asyncio.timeout(30):
                await test(Ahead(items(), submit))
        finally:
            threads.close()

    asyncio.run(main())
    return len(steps)


def test_quick_items_come_together_in_their_order_and_with_what_ends_them() -> None:
    def items() -> Iterator[int]:
        yield from range(1000)
        raise ZeroDivisionError

    async def test(ahead: Ahead) -> None:
        came = await ahead.several()
        assert came == [0]
        while len(came) < 1000:
            came += await ahead.several()
        with pytest.raises(ZeroDivisionError):
            await ahead.several()
        assert came == list(range(1000))
        assert isinstance(ahead.error, ZeroDivisionError)

    assert run(items, test) < 1000


def test_an_item_is_given_before_the_next_is_there() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        gate.wait(20)
        yield 3

    async def test(ahead: Ahead) -> None:
        try:
            assert await ahead.several() == [1]
            assert await ahead.several() == [2]
            assert ahead.step is not None
            assert not ahead.step.ended
        finally:
            gate.set()
        assert await ahead.several() == [3]
        assert await ahead.several() == []
        assert await ahead.several() == []

    run(items, test)


def test_nothing_is_made_after_a_slow_item_until_somebody_waits() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            begun.append(number)
            time.sleep(0.005)
            yield number

    async def test(ahead: Ahead) -> None:
        for number in range(4):
            assert await ahead.several() == [number]
            await asyncio.sleep(0.03)
            assert begun == list(range(number + 1))
        assert await ahead.several() == []

    assert run(items, test) == 5
