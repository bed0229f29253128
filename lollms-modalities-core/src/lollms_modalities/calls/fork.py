"""What a forked child has of its parent: all objects, and none of the threads that some of them need.

An engine's model waits in its destructor for threads that are not there. So what the parent has loaded is never freed
in a child, and never used there.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from lollms_modalities.calls import waits

_T = TypeVar("_T")

generation = 0  # how many forks this process is away from the one that was started
_kept: list[Any] = []


def keep(value: object) -> None:
    """Never destroy ``value``, not even when the interpreter ends."""
    try:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
    except (ImportError, AttributeError):  # an interpreter without it
        _kept.append(value)


def load_apart(load: Callable[[], _T]) -> _T:
    """Load a model; in a forked child by a thread that the parent did not have.

    An OpenMP of GNU's waits for ever where the thread that forked has used it before: it looks for the threads that it
    had there.
    """
    if not generation or threading.current_thread() is not threading.main_thread():
        return load()
    answer: list[_T] = []
    error: list[BaseException] = []
    context = contextvars.copy_context()

    def run() -> None:
        try:
            answer.append(context.run(load))
        except BaseException as exc:
            error.append(exc)

    thread = threading.Thread(target=run, name="lollms-load", daemon=True)
    thread.start()
    waits.join(thread)
    if error:
        raise error.pop()
    return answer.pop()


def _after_fork() -> None:
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
