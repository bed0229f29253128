"""What a call gives while it runs: its items, and how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from lollms_modalities import Progress, Provenance

from lollms_server.room.running import RunningCall


class RoomStream(AsyncIterator[Any]):
    """The items of a call. Closing it, or cancelling the task that waits for an item, cancels the call.

    Attributes:
        provenance: how the items were made; None until the stream has ended.
    """

    def __init__(self, items: Callable[[RoomStream], AsyncIterator[Any]]) -> None:
        self.provenance: Provenance | None = None
        self._items: Any = items(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._items.__anext__()

    async def aclose(self) -> None:
        """End it; what the engine still does it does not wait for."""
        await self._items.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()


class OnLoop:
    """Tells a function on the event loop how far a call has come; of many reports at once the last.

    A preview that nobody was told of goes along with the report after it.
    """

    def __init__(self, call: RunningCall, fn: Callable[[Progress], object]) -> None:
        self._call = call
        self._fn = fn
        self._loop = asyncio.get_running_loop()
        self._waiting = False

    def __call__(self, progress: Progress) -> None:
        before = self._call.progress
        if self._waiting and progress.preview is None and before is not None:
            progress = progress._replace(preview=before.preview)
        self._call.progress = progress
        if not self._waiting:
            self._waiting = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._waiting = False
        if self._call.progress is not None:
            self._fn(self._call.progress)
