"""Those who wait for a worker, and what is done for them at a time."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.errors import BindingClosedError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.workers.host import Worker

scheduler = Scheduler("lollms-idle-workers")


class PoolState(NamedTuple):
    """A pool as it is now: workers that can be asked, those that are starting, and requests that wait for one."""

    running: int
    starting: int
    waiting: int


class Waiter:
    """A request that waits for a worker.

    Attributes:
        call, beyond, other_than: as ``Workers.take`` is given them.
        came: when, of ``time.monotonic``.
        worker: which it has got; ``fresh``: which it has to start first.
        error: or why it gets none.
        taken: whether whoever waited has seen that.
    """

    def __init__(self, call: Call, beyond: bool, other_than: Sequence[Worker]) -> None:
        self.call = call
        self.beyond = beyond
        self.other_than = other_than
        self.came = time.monotonic()
        self.worker: Worker | None = None
        self.fresh = False
        self.error: BaseException | None = None
        self.taken = False
        self.woken: SimpleQueue[None] = SimpleQueue()

    @property
    def plain(self) -> bool:
        """Whether any worker with a free place will do, and nothing else."""
        return not (self.beyond or self.other_than)

    @property
    def served(self) -> bool:
        """Whether it waits no longer."""
        return self.worker is not None or self.error is not None

    def wake(self) -> None:
        """Let it look again. Takes no lock: a signal's handler may cancel what waits."""
        self.woken.put(None)


def closed(name: str, waiter: Waiter) -> BindingClosedError:
    """The error of one who asks a binding that was closed."""
    return BindingClosedError(f"{name}: {waiter.call.verb} was asked for after close().", hint="Make a new binding.")


def weakly(method: Callable[[], object]) -> Callable[[], None]:
    """Call a method of an object for as long as somebody else has that."""
    ref = weakref.WeakMethod(method)

    def call() -> None:
        if (found := ref()) is not None:
            found()

    return call
