"""Items of an engine's stream, on their way to the event loop.

To wake a thread and the loop for each costs more than a small item, as of sound in pieces of a fiftieth of a second.
So where items come quickly the engine's thread takes some more than were asked for. Nobody waits longer for it: each is
given as soon as it is there. After one that took its time nothing is done until somebody waits for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from lollms_server.room.threads import Step

_QUICK = 0.001  # seconds that an item may take which is followed by another unasked
_MOST = 32  # items that are taken at a time, after the first
_END: Any = object()


class Ahead:
    """Takes the items of a stream in the engine's thread.

    Attributes:
        step: the last one; None before the first.
        error: what the stream has raised.

    Args:
        opened: the stream.
        submit: runs a step in a thread of the engine's.
    """

    def __init__(self, opened: Iterator[Any], submit: Callable[[Callable[[], None]], Step[None]]) -> None:
        self.step: Step[None] | None = None
        self.error: BaseException | None = None
        self._opened = opened
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._most = 1
        self._came: deque[Any] = deque()
        self._ended = False
        self._taking = False
        self._told = False  # the loop will look at them
        self._waiting: asyncio.Future[None] | None = None

    async def several(self) -> list[Any]:
        """What has come meanwhile, at least one; nothing at the end.

        Raises:
            Exception: what the stream raises, after the items before that.
        """
        while not self._came:
            if self.error is not None:
                raise self.error
            if self._ended:
                return []
            if not self._taking:
                self._taking = True
                self.step = self._submit(self._take)
            self._waiting = self._loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._most = _MOST
        return [self._came.popleft() for _ in range(len(self._came))]

    def _take(self) -> None:
        """In the engine's thread."""
        try:
            left = self._most
            while left:
                left -= 1
                began = time.perf_counter()
                if (item := next(self._opened, _END)) is _END:
                    self._ended = True
                    return
                self._came.append(item)
                if time.perf_counter() - began > _QUICK:
                    return
                if left:
                    self._tell()
        except BaseException as exc:
            self.error = exc
        finally:
            self._taking = False
            self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self._told = False  # before they are taken: one that comes now tells anew
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
