"""What an asyncio program waits for, as far as it can be proven from outside.

A task waits for what it awaits, and for all that it has gathered, put into a group or given to ``asyncio.wait``. How
asyncio notes that is no part of its documentation: what is not found there passes for something that may end.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class _Join(NamedTuple):
    """A future that comes when others have ended: ``pending`` is how many, and None where it is this one alone."""

    future: Any
    pending: int | None


def never_done(ends: Iterable[Any]) -> frozenset[Any]:
    """Futures and tasks that never come to an end if these do not, these among them.

    Limits of time that would cancel them are left out of account. Of several that are awaited together all have to be
    among them, since one that is not may fail, or end what the others wait for.
    """
    found = set(ends)
    if not found:
        return frozenset()
    tasks_of = sys.modules["asyncio"].all_tasks
    tasks = {task for loop in {end.get_loop() for end in found} for task in tasks_of(loop)} - found
    while True:
        joined = _joined(found)
        latest = {task for task in tasks if _never(getattr(task, "_fut_waiter", None), found, joined)}
        latest |= {outer for outer in _gathered(found) if _never(outer, found, joined)} - found
        if not latest:
            return frozenset(found)
        found |= latest
        tasks -= latest


def awaited_job(job: Any) -> Iterator[Any]:
    """The asyncio futures that come when a job of an executor has ended."""
    for done in getattr(job, "_done_callbacks", None) or ():
        if (future := _cells(done).get("destination")) is not None and hasattr(future, "get_loop"):
            yield future


def _never(awaited: Any, found: set[Any], joined: set[int]) -> bool:
    if awaited is None:
        return False
    if awaited in found or id(awaited) in joined:
        return True
    # What asyncio.gather gives; what has ended of it is waited for no longer.
    children = [child for child in getattr(awaited, "_children", None) or () if not child.done()]
    return bool(children) and all(_never(child, found, joined) for child in children)


def _gathered(found: set[Any]) -> Iterator[Any]:
    """What asyncio.gather gave for these: a wait_for, or another gather, may have it."""
    for end in found:
        for done, _ in getattr(end, "_callbacks", None) or ():
            if hasattr(outer := _cells(done).get("outer"), "_children"):
                yield outer


def _joined(found: set[Any]) -> set[int]:
    """The futures of groups and of ``asyncio.wait`` of which every member that has not ended never does."""
    counted: dict[int, int] = {}
    never = set()
    for end in found:
        for join in _joins(end):
            here = counted[id(join.future)] = counted.get(id(join.future), 0) + 1
            if join.pending is None or here >= join.pending:
                never.add(id(join.future))
    return never


def _joins(end: Any) -> Iterator[_Join]:
    release = getattr(sys.modules["asyncio"].tasks, "_release_waiter", None)
    for done, _ in getattr(end, "_callbacks", None) or ():
        if isinstance(done, functools.partial) and done.func is release and release is not None:
            # What wait_for awaits in the place of the new task that it makes, before Python 3.12.
            yield from (_Join(waiter, None) for waiter in done.args)
            continue
        cells = _cells(done)
        if "counter" in cells and cells.get("waiter") is not None:  # asyncio.wait
            if cells.get("timeout_handle") is None:  # its limit ends nothing but the waiting
                yield _Join(cells["waiter"], cells["counter"])
            continue
        if "todo" in cells and "done" in cells:  # asyncio.as_completed, before Python 3.13
            yield from (_Join(getter, len(cells["todo"])) for getter in list(cells["done"]._getters))
            continue
        group: Any = getattr(done, "__self__", None) or cells.get("self")  # a group of asyncio, or of anyio
        if hasattr(group, "_todo") and hasattr(getattr(group, "_done", None), "_getters"):  # as_completed
            yield from (_Join(getter, len(group._todo)) for getter in list(group._done._getters))
            continue
        future, members = getattr(group, "_on_completed_fut", None), getattr(group, "_tasks", None)
        if future is not None and members is not None:
            yield _Join(future, sum(not member.done() for member in list(members)))


def _cells(fn: Any) -> dict[str, Any]:
    """The variables that a nested function has from those around it."""
    names = getattr(getattr(fn, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(fn, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not set yet
            continue
    return found
