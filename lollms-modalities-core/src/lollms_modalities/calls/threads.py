"""Threads for awaitable twins: one for each call under way, kept a while for the next.

They are daemons, so a call that does not listen to its cancellation cannot keep the interpreter from ending. At exit
the calls under way are cancelled and given a moment, so that no engine is cut off in its native code without notice.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from lollms_modalities.calls.call import Call
from lollms_modalities.errors import GenerationError

_T = TypeVar("_T")
_IDLE_SECONDS = 10.0
_EXIT_SECONDS = 3.0

_lock = threading.Lock()
_idle: list[_Worker] = []
_busy: set[_Worker] = set()
_calls: weakref.WeakSet[Call] = weakref.WeakSet()


class _Worker:
    def __init__(self) -> None:
        self.jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="lollms-call", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=_IDLE_SECONDS)
            except Empty:
                with _lock:
                    if self in _idle:
                        _idle.remove(self)
                        return
                continue
            job()
            del job
            with _lock:
                _busy.discard(self)
                _idle.append(self)


def start(fn: Callable[[], object]) -> None:
    """Run ``fn`` in a thread of its own."""
    with _lock:
        worker = _idle.pop() if _idle else _Worker()
        _busy.add(worker)
    worker.jobs.put(fn)


class Job:
    """One piece of a thread's work, which ``_askers`` tells from the next."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn = fn
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()

    def run(self) -> None:
        """Do it."""
        try:
            result = self._fn()
        except StopIteration as exc:
            # A future that is awaited cannot raise it.
            error = GenerationError("A progress callable raised StopIteration.", hint="Let it raise something else.")
            error.__cause__ = exc
            self.future.set_exception(error)
        except BaseException as exc:
            self.future.set_exception(exc)
        else:
            self.future.set_result(result)


def submit(call: Call, fn: Callable[[], _T]) -> Future[_T]:
    """Run ``fn`` in a thread of its own; ``call`` is cancelled if the interpreter ends before it has."""
    job = Job(fn)
    _calls.add(call)
    start(job.run)
    return job.future


def _at_exit() -> None:
    for call in list(_calls):
        call.cancel("the interpreter is ending")
    until = time.monotonic() + _EXIT_SECONDS
    while _busy and time.monotonic() < until:
        time.sleep(0.005)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _idle.clear()
    _busy.clear()
    _calls.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
