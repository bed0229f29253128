"""What calls leave: memory, threads, open files, temporary files; also where they are stopped, refused or streamed."""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.contract import applies, contract, crosses
from lollms_modalities.testing.suite import Suite
from lollms_modalities.testing.watch import Use, use

_TRIES = 4  # to count calls in one process, where processes end
_AGAIN = 2
_EACH = 8192  # bytes that a call may leave each time: a line of a log, and no result
_PATIENCE = 10.0  # seconds in which what was stopped takes away its files


class LeakTests(Suite):
    """Nothing grows."""

    calls = 20
    """How many calls the test of growth makes; a third of them are stopped, refused or streamed in the others."""

    def test_nothing_grows_with_calls(self, growing: Any, isolated: bool) -> None:
        """Keep nothing of a call in the binding or its module; close what is opened with ``with``."""
        self._grows(growing, isolated, self.calls, "calls", lambda: self.brief(growing))

    def test_nothing_grows_with_calls_that_are_stopped(self, growing: Any, isolated: bool) -> None:
        """Free in ``finally`` (or ``with``) what a call holds: ``report_progress`` raises where a call is to stop."""

        def stop() -> None:
            token = CancelToken()
            self.quietly(lambda: self.call(growing, **self.long(cancel=token, progress=lambda p: token.cancel())))

        self._grows(growing, isolated, max(4, self.calls // 3), "calls that are stopped", stop)

    def test_nothing_grows_with_calls_that_are_refused(self, growing: Any, isolated: bool) -> None:
        """Check what is asked for before anything is opened, or free it in ``finally``."""
        refused = [{"no_such_option": 1}, *self.refused()]  # type: ignore[attr-defined]

        def refuse() -> None:
            for wrong in refused:
                with suppress(LollmsError, TypeError):  # whether it is refused is asked elsewhere
                    self.call(growing, **wrong)

        self._grows(growing, isolated, max(4, self.calls // 3), "calls that are refused", refuse)

    @applies(lambda suite: suite.stream_verb)
    def test_nothing_grows_with_streams(self, growing: Any, isolated: bool) -> None:
        """Free in ``finally`` (or ``with``) what a stream holds: it may be closed at each ``yield``, or never read."""
        verb = getattr(growing, str(self.stream_verb))

        def stream() -> None:
            with verb(**self.arguments(**self.little())) as begun:
                next(begun)
            list(verb(**self.arguments(**self.little())))

        self._grows(growing, isolated, max(4, self.calls // 6), "streams, read or closed early", stream)

    def _grows(self, binding: Any, isolated: bool, times: int, what: str, run: Callable[[], object]) -> None:
        kept = _kept(run, max(2, times // 8))
        for _ in range(
            _AGAIN if kept > _EACH else 0
        ):  # what a thread of the engine's lets go a moment later is not kept
            kept = min(kept, _kept(run, 2))
        contract(
            isolated or self.network or kept <= _EACH,  # a service may be played in this process, and keep notes
            f"{what} keep nothing in memory, each time.".capitalize(),
            "leaks",
            f"{kept / 1e3:.0f} kB each",
        )
        counted, grown = 0, Use(0, 0, 0)
        for _ in range(_TRIES):
            count, more = _growth(binding, isolated, times - counted, run, min(2.0, self.patience))
            counted, grown = counted + count, grown + more
            if counted == times:
                break
            run()  # in a worker that begins anew
        if counted < 3:
            return  # a worker that each call ends takes with it what it held
        contract(
            grown.memory <= self.growth,
            f"{counted} {what} leave no more than {self.growth / 1e6:.0f} MB in memory.",
            "leaks",
            f"{grown.memory / 1e6:.0f} MB",
        )
        few = counted // 2  # what a library keeps for the process comes once or twice, not each time
        contract(grown.threads <= few, f"{what} leave no threads.".capitalize(), "leaks", (counted, grown))
        contract(grown.descriptors <= few, f"{what} leave no open files.".capitalize(), "leaks", (counted, grown))

    @crosses
    def test_no_temporary_files_are_left(
        self, make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: bool
    ) -> None:
        """Use ``tempfile.TemporaryDirectory()`` in a ``with`` statement."""
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.setattr(tempfile, "tempdir", None)

        def stop() -> None:
            token = CancelToken()
            self.quietly(lambda: self.call(binding, **self.long(cancel=token, progress=lambda p: token.cancel())))

        def stream() -> None:
            if self.stream_verb:
                with getattr(binding, self.stream_verb)(**self.arguments()) as begun:
                    next(begun)

        with make() as binding:
            self.brief(binding)
            # What an engine's library keeps for the whole process is no leak.
            before = {*tmp_path.rglob("*"), *Path().iterdir()}
            for way in (lambda: self.brief(binding), stop, stream):
                way()
                # An engine in another process may still be stopping when its stream has been closed here.
                until = time.monotonic() + (_PATIENCE if isolated else 0)
                while (left := {*tmp_path.rglob("*"), *Path().iterdir()} - before) and time.monotonic() < until:
                    time.sleep(0.05)
                contract(
                    not left,
                    "Calls leave no files, neither temporary ones nor in the current folder, however they end.",
                    "leaks",
                    [str(p) for p in left],
                )


def _kept(run: Callable[[], object], times: int) -> float:
    """Bytes of Python's own, and numpy's, that each run leaves in this process, when the first have filled caches."""
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        held = []
        for _ in range(2):
            for _ in range(times):
                run()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        return (held[1] - held[0]) / times
    finally:
        if not tracing:
            tracemalloc.stop()


def _growth(binding: Any, isolated: bool, times: int, run: Callable[[], object], wait: float) -> tuple[int, Use]:
    """How often it ran before its workers were others than at first, and by how much they grew; in place ``times``."""
    pids = _pids(binding) if isolated else ()
    before = after = use(pids)
    for count in range(times):
        run()
        if isolated:
            try:
                if _pids(binding) != pids:
                    return count, after - before
                after = use(pids, collect=False)
            except psutil.NoSuchProcess:
                return count, after - before
    until = time.monotonic() + wait
    # Some of it is freed by other threads, a moment later.
    while _more(after := use(pids), before) and time.monotonic() < until:
        time.sleep(0.05)
    return times, after - before


def _pids(binding: Any) -> tuple[int, ...]:
    return tuple(worker.process.pid for worker in binding._workers.all())


def _more(after: Use, before: Use) -> bool:
    return after.threads > before.threads or after.descriptors > before.descriptors
