"""Streams of verbs, and verbs off the event loop.

A stream is an object, not a generator of ours: each step runs in the stream's own context, so that the call it belongs
to is current inside the engine code and nowhere else, and it may be stepped by one thread and closed by another.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from lollms_modalities import hooks
from lollms_modalities.call import Asker, Call, _current, _deadlines, asker
from lollms_modalities.errors import BusyError, GenerationError, LollmsError
from lollms_modalities.verbs import Plan, settle

if TYPE_CHECKING:
    from lollms_modalities.binding import LollmsBinding
    from lollms_modalities.media import Provenance

_T = TypeVar("_T")
_END: Any = object()


class Stream(Iterator[_T], Generic[_T]):
    """The items of a streaming verb. It holds its binding from the first step until its end, or until it is closed.

    Use it in a ``for`` loop, or in a ``with`` statement where the loop may be left early.
    """

    def __init__(self, binding: LollmsBinding, plan: Plan, call: Call, content: Any, arguments: dict[str, Any]) -> None:
        self._binding = binding
        self._plan = plan
        self._call = call
        self._start: Callable[[], Iterator[_T]] | None = lambda: plan.fn(binding, content, **arguments)
        self._content = content
        self._arguments = arguments
        self._items: Iterator[_T] | None = None
        self._entered = False
        self._done = False
        self._reason: BaseException | None = None
        self._provenance: Any = None
        self._stepping = threading.Lock()
        self._stepper: int | None = None
        self._context = contextvars.copy_context()
        self._context.run(_current.set, call)
        # Weakly: the instance's lock knows the call, and a stream that nobody has any more must end.
        stopped = weakref.WeakMethod(self._stopped)
        call.on_cancel(lambda: _deadlines.outside(stop) if (stop := stopped()) else None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        item = self._step(asker())
        if item is _END:
            raise StopIteration
        return item

    def _step(self, consumer: Asker) -> _T:
        """The next item, or ``_END``; ``consumer`` is who waits for it."""
        me = threading.get_ident()
        if self._stepper == me:
            raise BusyError(f"{self._call.verb}: the stream was asked for its next item from inside itself.")
        try:
            return self._step_alone(me, consumer)
        finally:
            # A stop that came after the step's last look at it found the stream busy.
            if self._call.stopped and not self._done:
                self._stopped()

    def _step_alone(self, me: int, consumer: Asker) -> _T:
        with self._stepping:
            if self._done:
                reason, self._reason = self._reason, None
                if reason is not None:
                    raise reason
                end: _T = _END
                return end
            self._stepper = me
            self._call.consumer = consumer
            try:
                item = self._context.run(self._advance)
                if item is _END:
                    self._end()
                return item
            except BaseException as exc:
                error = settle(self._binding, self._call, exc)
                self._end(error)
                if error is exc:
                    raise
                raise error from exc
            finally:
                self._stepper = None

    def _advance(self) -> _T:
        if self._start is not None:
            start, self._start = self._start, None
            self._items = self._answer() or self._begin(start)
            self._content = None
        assert self._items is not None
        item: _T = next(self._items, _END)
        self._call.check()
        if item is not _END and not isinstance(item, self._plan.returns):
            raise GenerationError(
                f"{self._binding.binding_name}: {self._call.verb} gave {type(item).__name__}, "
                f"not {self._plan.verb.returns}.",
                hint="This is a fault of the binding; tell its authors.",
            )
        if item is not _END and (relay := hooks.relay()) is not None:
            relay.stream_chunk(self._binding, self._call, item)
        return item

    def _begin(self, start: Callable[[], Iterator[_T]]) -> Iterator[_T]:
        self._binding._enter(self._call, self._plan)
        self._entered = True
        if (relay := hooks.relay()) is not None and self._plan.begins_here:
            relay.before_call(self._binding, self._call)
        return iter(start())

    def _answer(self) -> Iterator[_T] | None:
        """The items of a plug-in in the place of the engine's; None where none answers."""
        if (relay := hooks.relay()) is None:
            return None
        self._call.begin()
        self._call.check()
        told = self._plan.told(self._call, self._content, self._arguments)
        answer = relay.answer_call(self._binding, self._call, told)
        if answer is None:
            return None
        if self._binding._closed:
            raise self._binding._closed_error(self._call)
        self._provenance = getattr(answer, "provenance", None)
        items: Iterator[_T] = iter(answer)
        return items

    @property
    def provenance(self) -> Provenance | None:
        """How the items were made; None until the stream has ended."""
        if callable(self._provenance):
            self._provenance = self._provenance()
        provenance: Provenance | None = self._provenance
        return provenance

    def close(self) -> None:
        """End the stream and free what it holds. Waits for a step that runs in another thread; again does nothing."""
        if self._done:
            return
        self._call.cancel("its stream was closed")
        if self._stepper == threading.get_ident():
            return  # from inside a step: it ends at its next check
        with self._stepping:
            if not self._done:
                self._end()
        self._reason = None

    def _stopped(self) -> None:
        """The call is to stop. An idle stream frees its binding at once and tells the reason when it is next asked."""
        if self._stepping.acquire(blocking=False):
            try:
                if not self._done:
                    self._end()
                    self._reason = self._call._error or self._call._stop
            finally:
                self._stepping.release()

    def _end(self, error: BaseException | None = None) -> None:
        """Close the engine's generator and leave the call. The caller holds ``_stepping``."""
        self._done = True
        try:
            close: Callable[[], object] | None = getattr(self._items, "close", None)
            if close is not None:
                self._context.run(close)
        except LollmsError:
            if not self._call.stopped:
                raise
            # The engine code noticed, while it was closing, that its call has been stopped.
        finally:
            self._items = None
            self._start = None
            self._content = None
            if self._entered:
                self._provenance = self._plan.stamp(self._binding, self._call, self._arguments)
            relay = hooks.relay()
            if (self._entered or self._call.answered_by) and relay is not None:
                if error is not None:
                    relay.call_failed(self._binding, self._call, error)
                else:
                    relay.after_call(self._binding, self._call, None)
            self._binding._leave(self._call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._done and not sys.is_finalizing():
            self.close()


class AsyncStream(AsyncIterator[_T], Generic[_T]):
    """A stream for ``async for``: each step runs in a thread, the event loop stays free."""

    def __init__(self, stream: Stream[_T]) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        consumer = asker()
        self._stream._call.asker = consumer
        item = await run_in_thread(self._stream._call, lambda: self._stream._step(consumer))
        if item is _END:
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
        await self.aclose()


async def run_in_thread(call: Call, fn: Callable[[], _T]) -> _T:
    """Run ``fn``, which belongs to ``call``, off the event loop. Cancelling the task cancels the call."""
    import asyncio

    from lollms_modalities._threads import submit

    context = contextvars.copy_context()
    try:
        return await asyncio.wrap_future(submit(call, lambda: context.run(fn)))
    except asyncio.CancelledError:
        call.cancel("its task was cancelled")
        raise
