"""One call of a verb: its options, its progress, how it is stopped, and the context that engine code can ask for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from lollms_modalities.calls import waits
from lollms_modalities.calls.cancelling import Stops, checked_token, run_all
from lollms_modalities.calls.deadlines import DEADLINES, checked_timeout
from lollms_modalities.calls.logs import log_failure
from lollms_modalities.calls.progress import Progress, checked_sink
from lollms_modalities.errors import CallCancelled, CallTimeout

if TYPE_CHECKING:
    from pathlib import Path

    from lollms_modalities.calls.askers import Asker
    from lollms_modalities.calls.cancelling import Remover
    from lollms_modalities.calls.locks import CallLock
    from lollms_modalities.calls.progress import ProgressSink
    from lollms_modalities.calls.progress_bar import ProgressBar
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.calls.step import Step
    from lollms_modalities.errors import LollmsError


class WaitingFile(Protocol):
    """A file that was written and waits for the end of its call."""

    @property
    def part(self) -> Path:
        """Where it lies meanwhile."""
        ...

    def keep(self) -> None:
        """Give it its name."""

    def drop(self) -> None:
        """Remove it, unless it was kept."""


class Call:
    """One call. Engine code gets it from ``current_call()``; threads of the engine carry it and ``attach()`` it.

    Attributes:
        verb: name of the public method, such as "generate_audio".
        binding: whose it is, a ``LollmsBinding``; None once it has ended.
        options: the checked ``CallOptions``, or None where the verb takes none.
        output_path: the file that the result is to be written to, or None.
        output_format: the format that was asked for, or None for the modality's own.
        original: whether the caller wants what comes as it comes, in whatever format a service gives it.
        timeout: seconds that the call may take, or None.
        drawn: whether its seed was drawn, since none was given.
        answered_by: name of the plug-in that answered in the engine's place, or "".
        defaulted: names of the arguments that the caller left to the binding's default settings.
        heard: seconds of the longest recording that was decoded in it, or None.
        step: what is done to its result where that arrives, or None.
    """

    # Slots, since one is made for every call.
    __slots__ = (
        "__weakref__", "_bar", "_ends", "_error", "_leave_parent", "_progress", "_stop", "_stops", "_ticket",
        "_token_remover",
        "answered_by", "asker", "binding", "consumer", "deadline", "defaulted", "drawn", "elapsed", "heard", "locks",
        "options", "original", "output_format", "output_path", "parent", "parts", "recorded", "sources", "started",
        "started_at", "step", "timeout", "verb",
    )  # fmt: skip

    def __init__(
        self, verb: str, binding: Any = None, options: Any = None,
        parent: Call | None = None,
    ) -> None:  # fmt: skip
        self.verb = verb
        self.binding = binding
        self.options = options
        self.parent = parent
        self.output_path: Path | None = None
        self.output_format: str | None = None
        self.original = False
        # Files that were written for ``output_path`` and wait for the end of the call.
        self.parts: tuple[WaitingFile, ...] = ()
        self.timeout: float | None = None
        self.defaulted: tuple[str, ...] = ()
        self.deadline: float | None = None
        self.started = 0.0
        self.started_at = 0.0
        self.elapsed = 0.0
        self.recorded: dict[str, Any] | None = None
        self.locks: list[CallLock] = []
        self.drawn = False
        self.answered_by = ""
        self.heard: float | None = None
        self.step: Step | None = None
        # The media that it was given, once its result is brought into its format and place.
        self.sources: tuple[Any, ...] | None = None
        # Who takes a stream's items: it would wait for itself if it asked the same instance again.
        self.consumer: Asker | None = None
        # Who asked, where that is another thread than the one that runs the call.
        self.asker: Asker | None = None
        self._progress: ProgressSink | None = None
        self._error: BaseException | None = None
        self._stop: LollmsError | None = None
        self._bar: ProgressBar | None = None
        self._stops = Stops()
        self._ends: list[Callable[[], object]] | None = None
        self._ticket: Ticket | None = None
        self._token_remover: Remover | None = None
        self._leave_parent: Remover | None = None
        if parent is not None and parent.binding is not None:
            # What stops a call stops the calls that it makes of other bindings.
            self._leave_parent = parent.on_cancel(self._follow_parent)

    # -- for engine code ---------------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """False once the call has ended, and for the inert one that ``current_call()`` gives outside any call."""
        return self.binding is not None

    @property
    def stopped(self) -> bool:
        """Whether the call was cancelled, is out of time, or lost its progress callable to an exception."""
        return self._stop is not None or self._error is not None

    @property
    def wants_progress(self) -> bool:
        """Whether the caller wants to be told how far the call is."""
        return self._progress is not None

    def check(self) -> None:
        """Raise if the call should stop: ``CallCancelled``, ``CallTimeout``, or what the progress callable raised."""
        if self._error is not None:
            raise self._error
        if self._stop is not None:
            raise self._stop
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self._out_of_time()
            self.check()
        if self._leave_parent is not None and self.parent is not None and self.parent.active:
            self.parent.check()

    def remaining(self) -> float | None:
        """Seconds until the deadline (0 when past it), or None where there is none.

        That of a call from inside another is the nearer one of the two.
        """
        mine = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        outer = self.parent.remaining() if self.parent is not None and self.parent.active else None
        return mine if outer is None else outer if mine is None else min(mine, outer)

    def on_cancel(self, fn: Callable[[], object]) -> Remover:
        """Call ``fn``, from whichever thread, when the call is to stop for any reason; at once if it already is.

        For what must be woken or closed (a socket, a process, a waiting thread). Gives a function that takes it back.
        """
        return self._stops.add(fn)

    def pause(self, seconds: float) -> None:
        """Wait so long, and no longer than until the call is to stop. Raises as ``check``."""
        woken = threading.Event()
        remove = self.on_cancel(woken.set)
        try:
            waits.wait(woken.wait, seconds)
        finally:
            remove()
        self.check()

    def report(
        self, done: float, total: float | None = None, *, stage: str = "", unit: str = "", preview: Any = None
    ) -> None:
        """Tell the caller how far the call is, and raise if it should stop."""
        self.check()
        if self._progress is not None:
            token = TELLING.set(self)
            try:
                self._progress(Progress(stage, done, total, unit, preview))
            except BaseException as exc:
                self._progress = None
                self.fail(exc)
                raise
            finally:
                TELLING.reset(token)

    def record(
        self, *, model: str | None = None, engine: str | None = None, engine_version: str | None = None,
        usage: dict[str, Any] | None = None, extra: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Add to the provenance of the result. ``usage`` and ``extra`` are JSON values and are merged."""
        kept = self.recorded = self.recorded or {}
        for name, value in (("model", model), ("engine", engine), ("engine_version", engine_version)):
            if value is not None:
                kept[name] = value
        for name, more in (("usage", usage), ("extra", extra)):
            if more:
                kept[name] = {**kept.get(name, {}), **more}

    @contextmanager
    def attach(self) -> Iterator[Call]:
        """Make this the current call of the thread that enters, such as one that the engine started."""
        token = CURRENT.set(self)
        try:
            yield self
        finally:
            CURRENT.reset(token)

    # -- for the core ------------------------------------------------------------------------------------------------

    def stop(self, reason: LollmsError) -> None:
        """Ask the call to stop with ``reason``; the first reason stays."""
        if not self.stopped:
            self._stop = reason
            self._run_stops()

    def fail(self, error: BaseException) -> None:
        """Stop the call with what the caller's own code raised, such as its progress callable."""
        self._error = error
        try:
            self._run_stops()
        except Exception:
            log_failure(__name__, "%s: a function that was to be told of its end failed", self.verb)

    def _follow_parent(self) -> None:
        outer = self.parent
        if outer is not None and outer._error is not None:
            self.fail(outer._error)
        elif outer is not None and outer._stop is not None:
            self.stop(outer._stop)

    def _run_stops(self) -> None:
        run_all(self._stops.take())

    def cancel(self, reason: str = "") -> None:
        """Ask the call to stop with ``CallCancelled``."""
        self.stop(CallCancelled(f"{self.verb} was cancelled{': ' + reason if reason else ''}.", verb=self.verb))

    def control(self, progress: object, cancel: object, timeout: object) -> None:
        """Take the three arguments that every call has. Raises ``OptionError`` on a wrong one."""
        if progress is True:
            from lollms_modalities.calls.progress_bar import ProgressBar

            self._progress = self._bar = ProgressBar(self.verb)
        elif progress is not None and progress is not False:
            self._progress = checked_sink(progress)
        if timeout is not None:
            self._start_clock(checked_timeout(timeout))
        if cancel is not None:
            token = checked_token(cancel)
            self._token_remover = token.on_cancel(lambda: self.cancel(token.reason))

    def _start_clock(self, timeout: float) -> None:
        if timeout > threading.TIMEOUT_MAX:
            return
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self._ticket = DEADLINES.at(self.deadline, self._out_of_time)

    def _out_of_time(self) -> None:
        self.stop(
            CallTimeout(
                f"{self.verb} did not finish within its timeout of {self.timeout:g} s.",
                hint="Give it longer, or less to do.",
                verb=self.verb,
            )
        )

    def begin(self) -> None:
        """Note the time."""
        self.started = time.time()
        self.started_at = time.perf_counter()

    def so_far(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.started_at

    def finish(self) -> None:
        """Note the time taken, and let go of the binding, the clock, the token and the progress display."""
        self.elapsed = time.perf_counter() - self.started_at
        # A context that was copied meanwhile, by a timer or a task, must not pass for this call for ever.
        self.binding = None
        if self._ticket is not None:
            self._ticket.cancel()
            self._ticket = None
        if self._token_remover is not None:
            self._token_remover()
            self._token_remover = None
        if self._leave_parent is not None:
            self._leave_parent()
            self._leave_parent = None
        self._stops.clear()
        for part in self.parts:
            part.drop()
        self._progress = None
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def at_end(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` when the engine code has ended, while the call still holds its binding."""
        if self._ends is None:
            self._ends = []
        self._ends.append(fn)

    def run_ends(self) -> None:
        """Call what was given to ``at_end``; what one raises is logged."""
        while self._ends:
            fn = self._ends.pop()
            try:
                fn()
            except Exception:
                log_failure(__name__, "%s: what was to be done at its end failed", self.verb)

    def holds(self, binding: object) -> bool:
        """Whether this call, or one that it was made from, is a call of that instance."""
        call: Call | None = self
        while call is not None:
            if call.binding is binding:
                return True
            call = call.parent
        return False


CURRENT: ContextVar[Call | None] = ContextVar("lollms_call", default=None)


# The call of which somebody outside, a progress callable or a plug-in, is being told.
TELLING: ContextVar[Call | None] = ContextVar("lollms_telling", default=None)


def current_call() -> Call:
    """The call that runs here. Outside any call: an inert one that never stops and drops what it is told."""
    return CURRENT.get() or Call("")


def report_progress(
    done: float, total: float | None = None, *, stage: str = "", unit: str = "", preview: Any = None
) -> None:
    """Tell the current call's caller how far it is, and raise if the call should stop.

    Raises:
        CallCancelled, CallTimeout: the call should stop; let them through.
    """
    call = CURRENT.get()
    if call is not None:
        call.report(done, total, stage=stage, unit=unit, preview=preview)
