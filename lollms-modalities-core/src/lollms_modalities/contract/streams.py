"""Streams of verbs, and verbs off the event loop.

A stream is an object, not a generator of ours: each step runs in the stream's own context, so that the call it belongs
to is current inside the engine code and nowhere else, and it may be stepped by one thread and closed by another.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from lollms_modalities import hooks
from lollms_modalities.calls import fork, sweeping
from lollms_modalities.calls.askers import asker
from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.failures import said
from lollms_modalities.contract.answering import END as END
from lollms_modalities.contract.answering import Answered
from lollms_modalities.contract.running import not_an_end, settle
from lollms_modalities.errors import BusyError, GenerationError, LollmsError, PluginRefused, UnsupportedError

if TYPE_CHECKING:
    from lollms_modalities.calls.askers import Asker
    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.plan import Plan
    from lollms_modalities.media.result import Provenance


_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# The engines' iterators of the open streams. The garbage collector must not find them together with their streams: it
# would end a generator by itself, wherever it happens to run.
_open: dict[int, object] = {}


class Stream(Iterator[_T], Generic[_T]):
    """The items of a streaming verb. It holds its binding from the first step until its end, or until it is closed.

    Use it in a ``for`` loop, or in a ``with`` statement where the loop may be left early.
    """

    _done = True  # until it has all that its end needs

    def __init__(self, binding: LollmsBinding, plan: Plan, call: Call, content: Any, arguments: dict[str, Any]) -> None:
        self._binding = binding
        self._plan = plan
        self._call = call
        self._start: Callable[[], Iterator[_T]] | None = lambda: plan.fn(binding, content, **arguments)
        self._content = content
        self._arguments = arguments
        self._items: Iterator[_T] | None = None
        self._ready: deque[_T] = deque()
        self._given = 0
        self._entered = False
        self._reason: BaseException | None = None
        self._provenance: Any = None
        self._stepping = threading.Lock()
        self._stepper: int | None = None
        self._begun_in: int | None = None
        self._abandoned = False
        self._context = contextvars.copy_context()
        self._context.run(CURRENT.set, call)
        # Weakly: the instance's lock knows the call, and a stream that nobody has any more must end.
        stopped = weakref.WeakMethod(self._stopped)
        self._unlisten = call.on_cancel(lambda: stop() if (stop := stopped()) else None)
        self._done = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        item = self._step(asker())
        if item is END:
            raise StopIteration
        return item

    def _step(self, consumer: Asker) -> _T:
        """The next item, or ``END``; ``consumer`` is who waits for it."""
        me = threading.get_ident()
        if self._forked():
            raise UnsupportedError(
                f"{self._call.verb}: the stream was begun in the process that this one was forked from.",
                hint="Make a binding and a stream of its own here.",
            )
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
                    raise not_an_end(self._call, reason)
                end: _T = END
                return end
            try:
                self._stepper = me
                self._call.consumer = consumer
                item = self._context.run(self._advance)
                if item is END:
                    self._end(whole=True)
                return item
            except BaseException as exc:
                error = settle(self._binding, self._call, exc)
                self._log(self._end(error))
                error = not_an_end(self._call, error)
                if error is exc:
                    raise
                raise error from error.__cause__ or exc
            finally:
                self._stepper = None

    def _advance(self) -> _T:
        if self._start is not None:
            self._begun_in = fork.generation
            start, self._start = self._start, None
            self._items = _open[id(self)] = self._answer() or self._begin(start)
        assert self._items is not None
        while not self._ready:
            item: _T = next(self._items, END)
            self._call.check()
            if item is END:
                step = self._call.step
                self._ready.extend(() if step is None else step.rest(self._call))
                if not self._ready:
                    return item
            elif len(given := self._come(item)) == 1:
                return self._told(given[0])
            else:
                self._ready.extend(given)
        return self._told(self._ready.popleft())

    def _come(self, item: _T) -> list[_T]:
        """What can be given of an item that has come."""
        if not isinstance(item, self._plan.returns):
            who = f"the plug-in {self._call.answered_by!r}" if self._call.answered_by else self._binding.binding_name
            raise GenerationError(
                f"{who}: {self._call.verb} gave {type(item).__name__}, not {self._plan.verb.returns}.",
                hint="This is a fault of the binding; tell its authors.",
            )
        here = self._entered and self._plan.begins_here
        items = self._binding._tidy_item(self._call, self._content, item) if here else [item]
        self._content = None
        step = self._call.step
        return items if step is None else [made for each in items for made in step.item(self._call, each)]

    def _told(self, item: _T) -> _T:
        if (relay := hooks.relay()) is not None:
            try:
                item = relay.stream_chunk(self._binding, self._call, item, self._plan.replaced)
            except PluginRefused as refusal:
                refusal.sent = self._given
                raise
        self._given += 1
        return item

    def _begin(self, start: Callable[[], Iterator[_T]]) -> Iterator[_T]:
        sweeping.prepare()
        self._binding._enter(self._call, self._plan)
        self._entered = True
        if (relay := hooks.relay()) is not None and self._plan.begins_here:
            relay.before_call(self._binding, self._call)
        return iter(start())

    def _answer(self) -> Iterator[_T] | None:
        """The items of a plug-in in the place of the engine's; None where none answers, or not with such items."""
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
        try:
            items: Iterator[_T] = iter(answer)
            first = hooks.told(self._call, next, items, END)
            if first is not END and not isinstance(first, self._plan.returns):
                raise TypeError(f"its first item is {type(first).__name__}, not {self._plan.verb.returns}")
        except Exception:  # the engine does it, as it does where a whole answer cannot be used
            self._call.check()
            relay.reject_answer(self._call)
            return None
        self._provenance = getattr(answer, "provenance", None)
        return Answered(self._call, first, items)

    @property
    def provenance(self) -> Provenance | None:
        """How the items were made; None until the stream has ended."""
        if callable(self._provenance):
            self._provenance = self._provenance()
        provenance: Provenance | None = self._provenance
        return provenance

    def close(self) -> None:
        """End the stream and free what it holds. Waits for a step that runs in another thread; again does nothing.

        Raises:
            GenerationError: the engine failed while it was being ended.
        """
        error = self._close()
        if error is not None:
            error = settle(self._binding, Call(self._call.verb, self._binding), error)
            raise not_an_end(self._call, error)

    def _close(self) -> BaseException | None:
        """End the stream; what the engine raised meanwhile."""
        if self._done or self._forked():
            return None
        error = None
        self._unlisten()  # this ends it, and not the stop that wakes a step elsewhere
        self._call.cancel("its stream was closed")
        if self._stepper == threading.get_ident():
            return None  # from inside a step: it ends at its next check
        with self._stepping:
            if not self._done:
                error = self._end()
        self._reason = None
        return error

    def _stopped(self) -> None:
        """The call is to stop. An idle stream frees its binding at once and tells the reason when it is next asked."""
        if self._stepping.acquire(blocking=False):
            try:
                if not self._done and not self._forked():
                    self._log(self._end())
                    self._reason = self._call._error or self._call._stop
            finally:
                self._stepping.release()

    def _forked(self) -> bool:
        """Whether the process that began it is another; what it holds there is left as it is."""
        if self._begun_in is None or self._begun_in == fork.generation:
            return False
        if not self._done:
            self._done = self._abandoned = True
            fork.keep(self._items)
            _open.pop(id(self), None)
        return self._abandoned

    def _end(self, error: BaseException | None = None, *, whole: bool = False) -> BaseException | None:
        """Close the engine's generator and leave the call: what the engine raised meanwhile.

        The caller holds ``_stepping``. ``error`` is what the stream ends with; ``whole`` says that it has given all.
        """
        self._done = True
        try:
            return self._close_engine()
        finally:
            self._items = None
            self._start = None
            self._content = None
            try:
                _open.pop(id(self), None)
                if self._entered:
                    self._provenance = self._plan.stamp(self._binding, self._call, self._arguments)
                relay = hooks.relay()
                if (self._entered or self._call.answered_by) and relay is not None:
                    if error is not None:
                        relay.call_failed(self._binding, self._call, error)
                    else:
                        self._after(relay, whole)
            finally:
                try:
                    self._binding._leave(self._call)
                except BaseException:
                    self._binding._leave(self._call)
                    raise

    def _after(self, relay: hooks.Relay, whole: bool) -> None:
        try:
            relay.after_call(self._binding, self._call, None)
        except PluginRefused as refusal:
            refusal.sent = self._given
            if whole:
                raise
            self._log(refusal)  # who closes it early wants no more of it

    def _so_far(self) -> Provenance | None:
        """How the items are made, as far as that is known while they come."""
        made = self._plan.stamp(self._binding, self._call, self._arguments) if self._entered else self._provenance
        provenance: Provenance | None = made() if callable(made) else made
        return provenance

    def _close_engine(self) -> BaseException | None:
        close: Callable[[], object] | None = getattr(self._items, "close", None)
        try:
            if close is not None:
                self._context.run(close)
        except Exception as exc:
            # The engine code may have noticed, while it was closing, that its call has been stopped.
            if not (self._call.stopped and isinstance(exc, LollmsError)) and exc is not self._call._error:
                return exc
        except BaseException:  # interrupted: again ends what has not ended yet
            if close is not None:
                self._context.run(close)
            raise
        return None

    def _log(self, error: BaseException | None) -> None:
        """For what the engine raises at an end that has a reason of its own, which the caller is to see."""
        if error is not None:
            name, text = self._binding.binding_name, self._binding._without_secrets(said(error))
            _log.warning("%s: %s failed while it was being ended: %s", name, self._call.verb, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
        else:
            self._log(self._close())

    def __del__(self) -> None:
        if not self._done and not sys.is_finalizing():
            self._call.consumer = None  # whoever waits for it does not wait for its consumer
            sweeping.soon(self._forgotten)

    def _forgotten(self) -> None:
        self._log(self._close())
