"""Those who wait for a worker, and what is done for them at a time."""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lollms_modalities.calls import waits
from lollms_modalities.calls.call import Call
from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.errors import BindingClosedError

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
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
        self._woken: SimpleQueue[None] = SimpleQueue()

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
        self._woken.put(None)

    def wait(self) -> None:
        """Until it may look again."""
        waits.take(self._woken)


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


@contextlib.contextmanager
def creating(worker: Worker, cancel: CancelToken | None) -> Iterator[Call]:
    """The call by which a first worker is made; ``cancel`` ends it. Where it fails, nothing is left of the worker."""
    call = Call("create_binding")
    try:
        call.control(None, cancel, None)
        yield call
    except BaseException:
        worker.kill("it could not be started")
        raise
    finally:
        call.finish()


class _Forgets(Protocol):
    def forget(self) -> None: ...


_parents: weakref.WeakSet[_Forgets] = weakref.WeakSet()


def forget_in_children(what: _Forgets) -> None:
    """Have ``what.forget()`` called in each forked child: the workers are its parent's."""
    _parents.add(what)


def _after_fork() -> None:
    for what in list(_parents):
        what.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
