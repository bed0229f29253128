"""What a call gives while it runs: its items, and how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from lollms_modalities import Progress, Provenance

from lollms_server.room.running import RunningCall


class RoomStream(AsyncIterator[Any]):
    """The items of a call. Closing it, or cancelling the task that waits for an item, cancels the call.

    Attributes:
        provenance: how the items were made; None until the stream has ended.
    """

    def __init__(self, items: Callable[[RoomStream], AsyncIterator[list[Any]]]) -> None:
        self.provenance: Provenance | None = None
        self._items: Any = items(self)
        self._come: deque[Any] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._come:
            self._come.extend(await self._items.__anext__())
        return self._come.popleft()

    async def several(self) -> list[Any]:
        """All that has come meanwhile, at least one; nothing at the end."""
        if not self._come:
            return await anext(self._items, [])
        come, self._come = self._come, deque()
        return list(come)

    async def aclose(self) -> None:
        """End it; what the engine still does it does not wait for."""
        self._come.clear()
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()


class Untold:
    """Reports that nobody was told of yet: of many at once the first and the last of each stage, as of a worker.

    A preview that is passed over goes along with the report after it. They are put by engines' threads.
    """

    _MOST = 64  # of an engine that begins another stage with each report

    def __init__(self) -> None:
        self._held: list[Progress] = []
        self._stage: str | None = None
        self._begins = False  # whether the latest is the first of its stage
        self._lock = threading.Lock()

    def put(self, progress: Progress) -> None:
        """Keep one more."""
        with self._lock:
            held, another = self._held, progress.stage != self._stage
            if held and (len(held) >= self._MOST or not (another or self._begins)):
                before = held.pop()
                if progress.preview is None:
                    progress = progress._replace(preview=before.preview)
            held.append(progress)
            self._stage, self._begins = progress.stage, another

    def take(self) -> list[Progress]:
        """All of them, in their order."""
        with self._lock:
            held, self._held = self._held, []
            return held


class OnLoop:
    """Tells a function on the event loop how far a call has come, as ``Untold`` keeps it."""

    def __init__(self, call: RunningCall, fn: Callable[[Progress], object]) -> None:
        self._call = call
        self._fn = fn
        self._loop = asyncio.get_running_loop()
        self._untold = Untold()
        self._waiting = False

    def __call__(self, progress: Progress) -> None:
        self._call.progress = progress
        self._untold.put(progress)
        if not self._waiting:
            self._waiting = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._waiting = False
        for progress in self._untold.take():
            self._fn(progress)
