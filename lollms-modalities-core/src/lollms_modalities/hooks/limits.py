"""A time limit for the hooks of plug-ins, for programs that must go on whatever a plug-in does."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import Any

from lollms_modalities.calls.threads import Job, start

Failed = Callable[[str, str, BaseException], object]


class Limits:
    """Runs hooks in threads and waits for them no longer than they may take.

    A hook that takes longer goes on in its thread, which nothing can end; until it has, its plug-in is asked nothing.

    Args:
        seconds: that one hook may take.
        own: the same by plug-in.
        failed: called with the plug-in, the hook and the error, in the thread of the call.
    """

    def __init__(self, seconds: float, own: Mapping[str, float], failed: Failed) -> None:
        self.failed = failed
        self._seconds = seconds
        self._own = dict(own)
        self._late: dict[str, threading.Event] = {}  # set when the hook that took too long has ended

    def run(self, plugin: str, fn: Callable[..., Any], *args: Any) -> Any:
        """What the hook returns.

        Raises:
            TimeoutError: it takes too long, or an earlier one of its plug-in does still.
        """
        late = self._late.get(plugin)
        if late is not None and not late.is_set():
            raise TimeoutError("an earlier hook of it has not ended yet")
        ended = threading.Event()
        context = contextvars.copy_context()

        def run() -> Any:
            try:
                return context.run(fn, *args)
            finally:
                ended.set()

        job = Job(run)
        start(job.run)
        seconds = self._own.get(plugin, self._seconds)
        try:
            return job.future.result(seconds)
        except TimeoutError:
            if ended.is_set():
                raise  # its own
            self._late[plugin] = ended
            raise TimeoutError(f"it took longer than {seconds:g} seconds") from None
