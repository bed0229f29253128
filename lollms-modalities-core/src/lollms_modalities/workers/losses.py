"""Workers that are lost one after another: the next start has to wait."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from lollms_modalities.errors import WorkerCrashedError, WorkerRestartError

if TYPE_CHECKING:
    from lollms_modalities.workers.host import Worker
    from lollms_modalities.workers.policy import Spec

_CRASHES = 3  # in a row, before the next start has to wait
_LONGEST_WAIT = 60.0


class Losses:
    """How many workers of one binding were lost in a row."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.count = 0
        self._not_before = 0.0

    def note(self, worker: Worker) -> None:
        """That one is gone. It counts once, and not if we have ended it."""
        if worker.reported or not worker.begun or worker.process.killed_because:
            return
        self.add(worker)

    def add(self, worker: Worker) -> None:
        """That one is gone, or could not be started, whatever the reason. It counts once."""
        if worker.reported:
            return
        worker.reported = True
        self.count += 1
        if self.count >= _CRASHES:
            self._not_before = time.monotonic() + min(_LONGEST_WAIT, 0.5 * 2 ** (self.count - _CRASHES))

    def left(self) -> float:
        """Seconds for which none may be started; 0 where one may."""
        return max(0.0, self._not_before - time.monotonic()) if self.count >= _CRASHES else 0.0

    def check(self) -> None:
        """Raise ``WorkerRestartError`` while none may be started."""
        if left := self.left():
            wait = math.ceil(left * 1000) / 1000  # who waits for as long is not refused again
            raise WorkerRestartError(
                f"{self._spec} was lost {self.count} times in a row; it is not started again for {wait:.3g} s.",
                hint="Look at what it printed before it ended: the log has it under "
                f"{self._spec.log.name}, the errors before this one too.",
                retry_after=wait,
            )


def was_killed(worker: Worker, exc: BaseException) -> bool:
    """Whether a worker that could not be started was ended by a signal of somebody else's, as by a system that is out
    of memory: then nothing was run, and nothing is wrong with the binding.
    """
    is_lost = isinstance(exc, WorkerCrashedError) and (vars(exc).get("exit_code") or 0) < 0
    return is_lost and not worker.process.killed_because
