"""Requests that one call of an engine answers: a model makes several at once in less time than one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_A = TypeVar("_A")
_R = TypeVar("_R")
_PATIENCE = 0.005  # seconds that a request waits for others like it


class _Group(Generic[_A, _R]):
    """Requests that are answered by one call."""

    def __init__(self) -> None:
        self.size = 0
        self.waiting: list[tuple[_A, asyncio.Future[_R]]] = []
        self.task: asyncio.Task[None] | None = None


class Batches(Generic[_A, _R]):
    """Puts together what comes within a few milliseconds and is alike.

    Args:
        most: how much one call may be asked for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._groups: dict[Hashable, _Group[_A, _R]] = {}

    async def ask(self, key: Hashable, mine: _A, size: int, answer: Callable[[list[_A]], Awaitable[list[_R]]]) -> _R:
        """What comes of ``mine``.

        Args:
            key: of what belongs together; who asks is part of it.
            size: how much ``mine`` is, of the most.
            answer: gives what comes of each of several. The first one's is asked; nobody's, where all have gone.

        Raises:
            Exception: as ``answer``; the same to all of them.
        """
        group = self._groups.get(key)
        if group is None or group.size + size > self._most:
            group = self._groups[key] = _Group()
            group.task = asyncio.get_running_loop().create_task(self._answer(key, group, answer))
        future: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        entry = (mine, future)
        group.waiting.append(entry)
        group.size += size
        try:
            return await future
        except asyncio.CancelledError:
            group.waiting.remove(entry)
            group.size -= size
            if not group.waiting and group.task is not None:
                group.task.cancel()  # nobody waits any more
            raise

    async def _answer(
        self, key: Hashable, group: _Group[_A, _R], answer: Callable[[list[_A]], Awaitable[list[_R]]]
    ) -> None:
        try:
            await asyncio.sleep(_PATIENCE)
        finally:
            if self._groups.get(key) is group:
                del self._groups[key]
        waiting = list(group.waiting)
        try:
            answers = await answer([mine for mine, _ in waiting])
        except Exception as exc:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), one in zip(waiting, answers, strict=True):
            if not future.done():
                future.set_result(one)
