"""What is to be done when nobody has an object any more, done where it cannot lock itself out.

The garbage collector may run in the middle of anything, also of code that holds one of our locks. What it would do
there is then done by a thread, which is started while nothing is in the middle of anything.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

_OURS = "lollms_"
_jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()  # whose put() needs no lock of Python's
_thread: threading.Thread | None = None


def prepare() -> None:
    """Call this before an object comes to be that uses ``soon``."""
    global _thread
    if _thread is None:
        thread = threading.Thread(target=_run, args=(_jobs,), name="lollms-sweeper", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads are to be had
            thread.start()
            _thread = thread


def soon(fn: Callable[[], object]) -> None:
    """From ``__del__`` or a callback of a weak reference: call ``fn`` here, or in a thread if this interrupts us."""
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_OURS):
            _jobs.put(fn)
            return
        frame = frame.f_back
    _call(fn)


def _call(fn: Callable[[], object]) -> None:
    try:
        fn()
    except Exception:
        logging.getLogger(__name__).exception("what nobody has any more could not be ended properly")


def _run(jobs: SimpleQueue[Callable[[], object]]) -> None:
    while True:
        _call(jobs.get())


def _after_fork() -> None:
    global _jobs, _thread
    _jobs = SimpleQueue()
    _thread = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
