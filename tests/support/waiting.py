"""Waiting for what another thread or process does, and looking at what it does meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until ``true`` gives something true; an ``AssertionError`` after ``seconds``."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.002)


def files_below(folder: Path) -> list[Path]:
    """The files in a folder from which another process may take files and folders meanwhile: ``rglob`` fails then."""
    return [Path(below, name) for below, _, names in os.walk(folder) for name in names]
