"""Seconds without those in which an engine waited for a processor: others use the machine, too."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Self

from lollms_modalities.testing.watch import family

_EVERY = 0.1  # seconds between two looks at the threads, which may end in between
_Waits = dict[tuple[int, str], float]


class Stopwatch:
    """Runs from when it is made until its time is asked for, or its ``with`` statement ends.

    Linux tells of each thread how long it was ready to run and others had the processors. Of each process the thread
    that waited longest counts; of the processes, which work one for the other, all. Elsewhere all seconds count.
    """

    def __init__(self) -> None:
        self._taken: float | None = None
        self._waited: _Waits = {}
        self._ended = threading.Event()
        self._first = _waits()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._look_again, name="stopwatch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds()

    def seconds(self) -> float:
        """How long it ran, without the waiting."""
        if self._taken is None:
            taken = time.monotonic() - self._began
            self._ended.set()
            self._thread.join()
            longest: dict[int, float] = defaultdict(float)
            for (pid, _), waited in self._waited.items():
                longest[pid] = max(longest[pid], waited)
            self._taken = max(0.0, taken - sum(longest.values()))
        return self._taken

    def _look_again(self) -> None:
        own = os.getpid(), str(threading.get_native_id())
        ended = False
        while not ended:
            ended = self._ended.wait(_EVERY)
            for thread, waited in _waits().items():
                if thread != own:
                    self._waited[thread] = waited - self._first.get(thread, 0.0)


def _waits() -> _Waits:
    """Seconds that each thread of this process and of those that come from it has waited for a processor, in all."""
    found: _Waits = {}
    if not os.path.isdir("/proc/self/task"):
        return found
    for pid in (os.getpid(), *family()):
        for task in _listed(f"/proc/{pid}/task"):
            try:
                _, waited, _ = Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()
            except (OSError, ValueError):
                continue  # it has ended, or the system does not tell
            found[pid, task] = int(waited) / 1e9
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the process has ended
