from __future__ import annotations

import logging
import math
import threading
import time

import pytest
from lollms_modalities.calls.scheduler import Scheduler
from waiting import wait_until


def test_calls_in_order_and_drops_what_was_cancelled() -> None:
    scheduler, heard, done = Scheduler("test"), [], threading.Event()
    now = time.monotonic()
    scheduler.at(now + 0.04, done.set)
    scheduler.at(now + 0.02, lambda: heard.append("b"))
    scheduler.at(now + 0.03, lambda: heard.append("c")).cancel()
    scheduler.at(now + 0.01, lambda: heard.append("a"))
    assert done.wait(5)
    assert heard == ["a", "b"]


def test_a_function_that_raises_is_logged_and_the_next_is_called(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, done = Scheduler("test"), threading.Event()

    def fail() -> None:
        raise KeyError("x")

    with caplog.at_level(logging.ERROR):
        scheduler.at(time.monotonic(), fail)
        scheduler.at(time.monotonic() + 0.01, done.set)
        assert done.wait(5)
    assert "a scheduled function failed" in caplog.text


def test_cancelled_tickets_do_not_pile_up() -> None:
    scheduler = Scheduler("test")
    for _ in range(5000):
        scheduler.at(time.monotonic() + 3600, int).cancel()
    assert len(scheduler._heap) <= 128


@pytest.mark.parametrize("far", [1e7, 1e10, 1e300, math.inf])
def test_a_time_that_never_comes_keeps_no_other_waiting(far: float) -> None:
    """One thread keeps the time of all calls: what no lock can wait for must not end it."""
    scheduler, done = Scheduler("test"), threading.Event()
    scheduler.at(time.monotonic() + far, int)
    wait_until(lambda: scheduler._thread is not None and bool(scheduler._wake._waiters))  # type: ignore[attr-defined]
    scheduler.at(time.monotonic() + 0.01, done.set)
    assert done.wait(5)
