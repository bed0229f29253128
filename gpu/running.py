"""A stage, check by check, each in its time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from gpu.findings import Check, Outcome, in_order
from gpu.report import Report
from gpu.worker import Setup, checks_of, work

_START = 120.0  # seconds that a worker may take to import its engines and to tell about the card
_GRACE = 5.0


def run(
    setup: Setup, report: Report, checks: list[Check], seconds: float, tell: Callable[[Outcome], object]
) -> list[Outcome]:
    """Do the checks; what has no time left is told as such.

    Args:
        checks: in their order.
        seconds: for all of them.
        tell: called with each outcome.
    """
    end = time.monotonic() + seconds
    workers = _Workers(setup)
    try:
        for check in checks:
            left = end - time.monotonic()
            outcome = workers.ask(check, left) if left > 0 else Outcome(check.name, check.kind, "no time left", 0.0)
            report.facts = {**workers.facts, **report.facts}
            report.add(outcome)
            tell(outcome)
    finally:
        workers.end()
    return report.outcomes


def planned(stage: str, only: str = "") -> list[Check]:
    """The checks of a stage's module in their order; ``only`` those with that in their names."""
    return [check for check in in_order(checks_of(stage)) if only in check.name]


class _Workers:
    """One process at a time. What failed leaves nothing to the next: that gets a fresh one."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self.facts: dict[str, str] = {}

    def ask(self, check: Check, left: float) -> Outcome:
        """The outcome of a check, in at most so many seconds."""
        began = time.monotonic()
        try:
            connection = self._connected(min(_START, left))
            allowed = max(0.0, min(check.seconds, left - (time.monotonic() - began)))
            asked = time.monotonic()
            connection.send(check.name)
            outcome = _received(connection, allowed)
        except (EOFError, OSError):
            process = self._process
            assert process is not None
            process.join(_GRACE)
            self.end()
            took = time.monotonic() - began
            return Outcome(check.name, check.kind, "died", took, f"its process ended with {process.exitcode}")
        if isinstance(outcome, Outcome):
            if outcome.status == "failed":
                self.end()
            return outcome
        self.end(at_once=True)
        took = time.monotonic() - asked
        return Outcome(check.name, check.kind, "over its time", took, f"ended after {allowed:.0f} s")

    def _connected(self, allowed: float) -> Connection[Any, Any]:
        if self._connection is None:
            context = multiprocessing.get_context("spawn")
            self._connection, there = context.Pipe()
            self._process = context.Process(target=work, args=(there, self._setup), daemon=False)
            self._process.start()
            there.close()
            told = _received(self._connection, allowed)
            if told is None:
                raise OSError("it does not begin")
            self.facts = told
        return self._connection

    def end(self, *, at_once: bool = False) -> None:
        """End the process, with all that it has started."""
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()  # nobody asks any more
            self._connection = None
        if process is None or process.pid is None:
            return
        if not at_once:
            process.join(_GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join(_GRACE)
        if process.is_alive():  # it has no group of its own yet
            process.kill()
            process.join(_GRACE)


def _received(connection: Connection[Any, Any], seconds: float) -> Any:
    """What comes; None where nothing does in that time."""
    return connection.recv() if connection.poll(seconds) else None
