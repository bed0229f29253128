"""Verbs off the event loop: awaited calls, and streams for ``async for``."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from lollms_modalities.calls.askers import asker
from lollms_modalities.contract.streams import _T, END

if TYPE_CHECKING:
    from lollms_modalities.calls.askers import Asker
    from lollms_modalities.calls.call import Call
    from lollms_modalities.contract.streams import Stream
    from lollms_modalities.media.result import Provenance


class AsyncStream(AsyncIterator[_T], Generic[_T]):
    """A stream for ``async for``: each step runs in a thread, the event loop stays free."""

    def __init__(self, stream: Stream[_T]) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, _T]:
        # Who asks is noted here: what runs the coroutine may be a task of its own, as in wait_for before Python 3.12.
        return self._next(asker())

    async def _next(self, consumer: Asker) -> _T:
        self._stream._call.asker = consumer
        item = await run_in_thread(self._stream._call, lambda: self._stream._step(consumer))
        if item is END:
            raise StopAsyncIteration
        return item

    @property
    def provenance(self) -> Provenance | None:
        """How the items were made; None until the stream has ended."""
        return self._stream.provenance

    async def aclose(self) -> None:
        """End the stream and free what it holds."""
        await run_in_thread(self._stream._call, self._stream.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            await self.aclose()
        else:
            error = await run_in_thread(self._stream._call, self._stream._close)
            self._stream._log(error)


async def run_in_thread(call: Call, fn: Callable[[], _T]) -> _T:
    """Run ``fn``, which belongs to ``call``, off the event loop. Cancelling the task cancels the call."""
    import asyncio

    from lollms_modalities.calls.threads import submit

    context = contextvars.copy_context()
    try:
        return await asyncio.wrap_future(submit(call, lambda: context.run(fn)))
    except asyncio.CancelledError:
        call.cancel("its task was cancelled")
        raise
