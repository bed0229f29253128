"""The time of an engine on a machine that others use: what it waited for a processor does not count, all else does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from lollms_modalities.testing import stopwatch
from lollms_modalities.testing.stopwatch import Stopwatch


def test_sleeping_and_working_count() -> None:
    with Stopwatch() as slept:
        time.sleep(0.5)
    assert slept.seconds() >= 0.45
    with Stopwatch() as worked:
        ended = time.thread_time() + 0.5
        while time.thread_time() < ended:
            pass
    assert worked.seconds() >= 0.45


def test_waiting_for_a_processor_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes that work one for the other, both; of threads of one, the one that waited longest."""

    def told() -> Iterator[dict[tuple[int, str], float]]:
        yield {(1, "1"): 50.0, (1, "2"): 7.0}
        while True:
            yield {(1, "1"): 50.1, (1, "2"): 7.2, (2, "3"): 0.15}

    waits = told()
    monkeypatch.setattr(stopwatch, "_waits", lambda: next(waits))
    with Stopwatch() as watch:
        began = time.monotonic()
        time.sleep(1)
        wall = time.monotonic() - began
    assert watch.seconds() == pytest.approx(wall - 0.35, abs=0.15)
    assert watch.seconds() == watch.seconds()
    assert "stopwatch" not in [thread.name for thread in threading.enumerate()]


def test_where_the_system_does_not_tell_all_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch.os.path, "isdir", lambda path: False)
    assert stopwatch._waits() == {}
