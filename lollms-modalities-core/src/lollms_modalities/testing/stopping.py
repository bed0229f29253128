"""How far a call is, and how it is stopped."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.calls.progress import Progress
from lollms_modalities.errors import CallCancelled, CallTimeout
from lollms_modalities.testing.contract import applies, contract, crosses, raises
from lollms_modalities.testing.stopwatch import Stopwatch
from lollms_modalities.testing.suite import Suite


class _MineError(Exception):
    """What the caller's own function raises."""


class StoppingTests(Suite):
    """Progress, cancelling, time limits."""

    whole_media = True

    def test_progress_goes_forward_and_comes_to_its_end(self, bound: Any) -> None:
        """Report ``report_progress(done, total)`` from 0 to the total, and name each stage."""
        seen: list[Progress] = []
        self.call(bound, progress=seen.append)
        contract(seen, "A call tells how far it is, at least once.", "progress")
        for before, after in pairwise(seen):
            contract(
                before.stage != after.stage or before.done <= after.done,
                "Progress never runs backwards within a stage.",
                "progress",
                (before, after),
            )
        for last in {p.stage: p for p in seen}.values():
            contract(
                last.total is None or last.done == last.total,
                "The last report of a stage is its total.",
                "progress",
                last,
            )
        for p in seen:
            contract(
                p.done >= 0 and (p.total is None or p.done <= p.total), "Done is from 0 to the total.", "progress", p
            )

    @crosses
    def test_an_exception_from_the_progress_function_ends_the_call(self, bound: Any) -> None:
        """Let exceptions of ``report_progress`` through: they end the call."""
        told: list[Progress] = []
        mine = _MineError("mine")

        def refuse(progress: Progress) -> None:
            told.append(progress)
            raise mine

        sentence = "An exception from the caller's progress function ends the call and arrives unchanged."
        with raises(_MineError, sentence, "progress") as caught:
            self.call(bound, progress=refuse)
        contract(caught[0] is mine and len(told) == 1, sentence, "progress", told)
        self.check(self.brief(bound))

    def test_cancelled_before_it_begins(self, bound: Any) -> None:
        """Call the engine inside the verb only."""
        token, seen = CancelToken(), list[Progress]()
        token.cancel("before")
        with raises(CallCancelled, "A call whose token is cancelled already raises CallCancelled.", "stopping"):
            self.call(bound, cancel=token, progress=seen.append)
        contract(not seen, "A call that was cancelled before it began does no work.", "stopping", seen)

    @crosses
    def test_cancelled_while_it_runs(self, bound: Any) -> None:
        """Call ``report_progress`` or ``current_call().check()`` often, and let what they raise through."""
        token, watches = CancelToken(), list[Stopwatch]()

        def cancel(progress: Progress) -> None:
            if not token.cancelled:
                watches.append(Stopwatch())
                token.cancel("during")

        error, _ = self.stopped(lambda: self.call(bound, **self.long(cancel=token, progress=cancel)))
        taken = watches[0].seconds() if watches else math.inf
        contract(isinstance(error, CallCancelled), "A call that is cancelled raises CallCancelled.", "stopping", error)
        contract(
            taken <= self.stop_within,
            f"A call that is cancelled stops within {self.stop_within} s.",
            "stopping",
            f"{taken:.1f} s",
        )
        self.check(self.brief(bound))

    def test_cancelled_by_another_thread(self, bound: Any) -> None:
        """Call ``report_progress`` or ``current_call().check()`` often; wake what waits with
        ``current_call().on_cancel``."""
        # At a moment that the engine has not chosen.
        token, began = CancelToken(), threading.Event()
        watches: list[Stopwatch] = []

        def cancel() -> None:
            began.wait(60)
            time.sleep(0.15)
            watches.append(Stopwatch())
            token.cancel()

        thread = threading.Thread(target=cancel, daemon=True)
        thread.start()
        run: Callable[[], object] = lambda: self.call(  # noqa: E731
            bound, **self.long(cancel=token, progress=lambda p: began.set())
        )
        error, _ = self.stopped(run)
        began.set()
        thread.join()
        taken = watches[0].seconds()
        contract(
            error is None or isinstance(error, CallCancelled),
            "A call that is cancelled raises CallCancelled, unless it was done.",
            "stopping",
            error,
        )
        contract(
            taken <= self.stop_within,
            f"A call that is cancelled stops within {self.stop_within} s.",
            "stopping",
            f"{taken:.1f} s",
        )

    def test_cancelled_after_its_end(self, bound: Any) -> None:
        """Keep no reference to a call or its token when the verb has returned."""
        token = CancelToken()
        result = self.brief(bound, cancel=token)
        token.cancel("after")
        self.check(result)
        self.check(self.brief(bound))

    @crosses
    def test_out_of_time(self, bound: Any) -> None:
        """Call ``report_progress`` or ``current_call().check()`` often; give ``current_call().remaining()`` to what
        waits by itself."""
        limit = 0.001
        error, taken = self.stopped(lambda: self.call(bound, **self.long(timeout=limit)))
        in_time = error is None and taken < min(0.5, self.stop_within)
        contract(
            in_time or isinstance(error, CallTimeout),
            "A call that is out of time raises CallTimeout.",
            "stopping",
            error,
        )
        contract(
            taken <= limit + self.stop_within,
            f"A call that is out of time stops within {self.stop_within} s.",
            "stopping",
            f"{taken:.1f} s",
        )
        self.check(self.brief(bound))

    @applies(lambda suite: suite.whole_media)
    def test_no_partial_file_is_left(self, bound: Any, result: Any, tmp_path: Path) -> None:
        """Leave ``output_path`` to the core; write elsewhere into a ``tempfile.TemporaryDirectory()``."""
        token = CancelToken()
        path = tmp_path / f"out{type(result).formats[result.format].suffixes[0]}"
        error, _ = self.stopped(
            lambda: self.call(bound, **self.long(cancel=token, progress=lambda p: token.cancel(), output_path=path))
        )
        contract(isinstance(error, CallCancelled), "A call that is cancelled raises CallCancelled.", "stopping", error)
        left = [p.name for p in tmp_path.iterdir()]
        contract(not left, "A call that is stopped leaves no file.", "stopping", left)
