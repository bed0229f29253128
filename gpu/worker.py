"""The process that does the checks of a stage, one after the other, as it is told.

It is of its own, since a check can hang, take the process down with it, or leave a card in a state in which nothing
works any more: then the next is done in a fresh one.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from gpu.findings import Check, NotHere, Outcome


class Setup(NamedTuple):
    """How checks are done.

    Attributes:
        stage: the module that has them, as ``CHECKS``.
        device: "cuda" or "cpu".
        tiny: tiny models, few steps.
        models: folders in which models are made.
        scratch: a folder for all else.
    """

    stage: str
    device: str
    tiny: bool
    models: tuple[Path, ...]
    scratch: Path


def checks_of(stage: str) -> list[Check]:
    """Those of a stage's module. It imports none of the engines."""
    checks: list[Check] = importlib.import_module(stage).CHECKS
    return checks


def work(connection: Connection[Any, Any], setup: Setup) -> None:
    """Tell the facts, then answer each name with its outcome, until nobody asks any more."""
    os.setsid()  # what a check starts is ended with it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Marks would make each result's bytes its own.
    os.environ.setdefault("LOLLMS_PLUGINS_MARKS_ENABLED", "0")
    from gpu import card
    from gpu.bench import Bench
    from gpu.models.store import Store

    try:
        connection.send(card.facts(setup.device))
    except Exception as exc:
        connection.send({"device": setup.device, "card": f"cannot be asked: {exc}"})
    known = {check.name: check for check in checks_of(setup.stage)}
    store = Store(setup.models, setup.device, setup.tiny)
    with contextlib.suppress(EOFError):
        while True:
            check = known[connection.recv()]
            connection.send(outcome_of(check, Bench(setup.device, setup.tiny, store, setup.scratch)))


def _end_with_parent() -> None:
    """A check that hangs is not to hold the card when nobody is left who would end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


def outcome_of(check: Check, bench: Any) -> Outcome:
    """Do a check."""
    began = time.perf_counter()
    status, said, told = "passed", "", ""
    try:
        check.act(bench)
    except NotHere as exc:
        status, said = "not here", str(exc)
    except Exception as exc:
        status, said = "failed", f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0][:300]}"
        told = traceback.format_exc()
    took = time.perf_counter() - began
    figures, notes = tuple(bench.figures), tuple(bench.notes)
    return Outcome(check.name, check.kind, status, took, said, figures, notes, told)  # type: ignore[arg-type]
