"""Who uses a binding, and whether one that asks for it owns the open stream that keeps it.

A stream is kept open by whoever goes on taking its items. That is a task, or the work that a thread does, and not a
thread by its ident: idents are used again, and a thread of a pool does one piece of work after the other.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from types import CodeType, FrameType
from typing import Any, NamedTuple

from lollms_modalities.calls.awaited import awaited_job

_OURS = "lollms_modalities"


class _Thread(threading.local):
    """Something that is one thread's own for as long as it lives, unlike its ident."""

    def __init__(self) -> None:
        self.token = object()


_this = _Thread()


class Asker(NamedTuple):
    """Who runs at a place in a program.

    Attributes:
        thread: an object that stands for the thread.
        task: the asyncio task, or None.
        path: the functions that run, outermost first, each with its place in it; empty for the main thread, which
            nobody's pool has.
        job: what a thread of an executor works on, or None.
    """

    thread: object
    task: Any
    path: tuple[tuple[CodeType, int], ...]
    job: weakref.ref[Any] | None


def asker() -> Asker:
    """Who runs here."""
    task = None
    if (asyncio := sys.modules.get("asyncio")) is not None:
        with contextlib.suppress(RuntimeError):  # no loop runs in this thread
            task = asyncio.current_task()
    if threading.current_thread() is threading.main_thread():
        return Asker(_this.token, task, (), None)
    return Asker(_this.token, task, *_work(sys._getframe(1)))


def would_block(asking: Asker, consumer: Asker) -> bool:
    """Whether ``consumer`` cannot take another item while the thread of ``asking`` waits.

    Args:
        asking: who asks, in that thread itself.
        consumer: who took the last item of a stream.
    """
    if consumer.thread is not asking.thread:
        return False
    if asking.task is not None and consumer.task is not None:
        # A plain call holds up the loop, and so every task of it.
        return bool(asking.task.get_loop() is consumer.task.get_loop())
    if not asking.path and not consumer.path:
        return True
    return _job(asking) is _job(consumer) and _within_one_function(asking.path, consumer.path)


def ends_with(asking: Asker, *, twin: bool) -> tuple[Any, ...]:
    """What in asyncio cannot end before this is answered: the task of a twin, or what awaits the job of a thread."""
    if twin:
        return () if asking.task is None else (asking.task,)
    job = None if asking.job is None else asking.job()
    return () if job is None else tuple(awaited_job(job))


def waits_for_this(ident: int) -> bool:
    """Whether a thread is waiting for the end of this one, or of what this one does for an executor."""
    frame = sys._current_frames().get(ident)
    here = asker()
    ends = [threading.current_thread(), None if here.job is None else here.job()]
    while frame is not None and frame.f_globals.get("__name__", "").startswith(("threading", "concurrent.futures")):
        if any(value is end for value in list(frame.f_locals.values()) for end in ends if end is not None):
            return True
        frame = frame.f_back
    return False


def _job(who: Asker) -> Any:
    # One that has ended is nobody's any more.
    return None if who.job is None else who.job() or object()


def _within_one_function(one: tuple[tuple[CodeType, int], ...], other: tuple[tuple[CodeType, int], ...]) -> bool:
    """Whether two stacks part ways at two places of one running function.

    That function holds the stream and asks. Where one place has called two things, it hands out work of which neither
    needs to know of the other, as the loop of a pool's thread does.
    """
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            return mine[0] is its[0]
    return False


def _work(frame: FrameType | None) -> tuple[tuple[tuple[CodeType, int], ...], weakref.ref[Any] | None]:
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OURS:
        frame = frame.f_back
    runs = [
        getattr(getattr(getattr(sys.modules.get(module), name, None), "run", None), "__code__", None)
        for module, name in (("concurrent.futures.thread", "_WorkItem"), ("lollms_modalities.calls.threads", "Job"))
    ]
    path: list[tuple[CodeType, int]] = []
    job = None
    while frame is not None:
        path.append((frame.f_code, frame.f_lasti))
        if frame.f_code in runs and job is None:
            future = getattr(frame.f_locals.get("self"), "future", None)
            job = None if future is None else weakref.ref(future)
        frame = frame.f_back
    return tuple(reversed(path)), job
