"""What xoscar takes for the same: an actor in another process. Prints JSON: seconds of each kind of work.

``uv run --no-project --with xoscar python -m bench.xoscar_peer``: in an environment of its own, since xoscar brings
uvloop, which uvicorn would take up in the others' processes.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import xoscar  # type: ignore[import-not-found,import-untyped,unused-ignore]

SMALL, LARGE, ITEM = bytes(46), bytes(10_000_044), bytes(640)


class Idle(xoscar.Actor):  # type: ignore[misc,unused-ignore]
    """Does nothing, much of nothing, or nothing often."""

    async def small(self, text: str) -> bytes:
        return SMALL

    async def large(self, text: str) -> bytes:
        return LARGE

    @xoscar.generator  # type: ignore[untyped-decorator,misc,unused-ignore]
    async def stream(self, text: str) -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield ITEM


async def _measure(numbers: dict[str, int]) -> dict[str, float]:
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=1)
    async with pool:
        where = next(iter(pool.sub_processes))
        actor: Any = await xoscar.create_actor(Idle, address=where, uid="idle")

        async def stream() -> None:
            async for _ in await actor.stream("hi"):
                pass

        kinds: dict[str, Callable[[], Awaitable[object]]] = {
            "small": lambda: actor.small("hi"),
            "large": lambda: actor.large("hi"),
            "stream": stream,
        }
        return {kind: await _median(kinds[kind], number) for kind, number in numbers.items()}


async def _median(fn: Callable[[], Awaitable[object]], number: int) -> float:
    taken = []
    for _ in range(number + max(1, number // 20)):
        start = time.perf_counter()
        await fn()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[-number:])


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(json.loads(sys.argv[1])))), flush=True)
