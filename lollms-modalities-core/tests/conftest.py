"""Small engines that test the core's own machinery, and bounds so that a hang fails."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from lollms_modalities.entry_points.refs import refresh


@pytest.fixture(autouse=True)
def no_hang(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that hangs ends the run with every thread's stack, told where no capture holds it back."""
    long = request.node.get_closest_marker("full") is not None
    told = request.config.stash.get(fault_handler_stderr_fd_key, sys.__stderr__)
    faulthandler.dump_traceback_later(1800 if long else 60, exit=True, file=told)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True, scope="module")
def what_came_from_folders_is_forgotten() -> Iterator[None]:
    """A folder from which a binding was loaded stays on the path: for the next file its names would be taken."""
    before = list(sys.path)
    yield
    added = tuple(path + os.sep for path in sys.path if path and path not in before)
    if not added:
        return
    sys.path[:] = [path for path in sys.path if path + os.sep not in added]
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(added):
            del sys.modules[name]
    refresh()


class Background:
    """A function in a thread of its own, with its result or its exception."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn = fn
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._fn()
        except BaseException as exc:
            self._error = exc

    def result(self, timeout: float = 10) -> Any:
        """Wait for it."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "it did not end in time"
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()


@pytest.fixture
def background() -> Callable[[Callable[[], Any]], Background]:
    """Run a function in a thread."""
    return Background
