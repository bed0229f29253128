"""The workers of one binding: started when they are needed, replaced when they are lost or old."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import Call
from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.errors import BindingClosedError, LollmsError, WorkerCrashedError
from lollms_modalities.workers.host import Worker
from lollms_modalities.workers.losses import Losses

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.workers.policy import Spec
    from lollms_modalities.workers.protocol import Json


_idle = Scheduler("lollms-idle-workers")


class Workers:
    """The workers of one binding."""

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        self._own = own
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._waiting: list[SimpleQueue[None]] = []
        self._losses = Losses(spec)
        self._idle: Ticket | None = None
        self._closed = False
        self.ready: Json = {}
        _pools.add(self)

    def open(self, cancel: CancelToken | None = None) -> None:
        """Start the first worker, which finds the class and tells what it is; ``cancel`` ends it meanwhile."""
        worker = Worker(self.spec)
        self._begin(worker)
        call = Call("create_binding")
        call.control(None, cancel, None)
        try:
            worker.open(call)
        finally:
            call.finish()
        self.ready = worker.ready
        self._workers.append(worker)

    def make(self, settings: Mapping[str, Any], shared: Mapping[str, Any], cancel: CancelToken | None = None) -> None:
        """Make the binding in it; ``cancel`` ends it meanwhile."""
        self.spec.settings, self.spec.shared = dict(settings), dict(shared)
        if not self._workers or not self._workers[0].alive:
            self._workers.clear()
            self.open(cancel)
        worker = self._workers[0]
        call = Call("create_binding")
        call.control(None, cancel, None)
        try:
            worker.make(call)
        except BaseException:
            self._workers.clear()
            raise
        finally:
            call.finish()
        worker.started = True
        self.ready = worker.ready

    def take(self, call: Call, *, beyond: bool = False, other_than: Sequence[Worker] = ()) -> Worker:
        """A worker for one request, started if need be; waits for one that is free.

        Args:
            call: whose request it is; stopping it ends the waiting.
            beyond: one that is fully busy will do, too: the request is no verb.
            other_than: not one of these; with them, raises ``LookupError`` where one would have to be waited for.

        Raises:
            WorkerCrashedError: workers have crashed one after another, and the next start has to wait.
            BindingClosedError: ``close`` was called.
        """
        woken: SimpleQueue[None] = SimpleQueue()
        worker, fresh = None, False
        try:
            while True:
                with self._lock:
                    worker, fresh = self._choose(call, beyond, other_than)
                    if worker is not None:
                        worker.users[call] = not beyond
                        if self._idle is not None:
                            self._idle.cancel()
                            self._idle = None
                        break
                    self._waiting.append(woken)
                remove = call.on_cancel(lambda: woken.put(None))
                try:
                    woken.get()
                finally:
                    remove()
                call.check()
            if fresh:
                self._start(worker, call)
            return worker
        except BaseException as exc:  # Ctrl-C, too: a place that is not given back would be waited for in vain
            if worker is not None:
                if fresh:
                    self._drop(worker, exc)
                self.give(worker, call, ok=False)
            raise

    def _choose(self, call: Call, beyond: bool, other_than: Sequence[Worker]) -> tuple[Worker | None, bool]:
        """A worker that can be asked now, and whether it has to be started first; none is to be waited for."""
        if self._closed:
            raise BindingClosedError(
                f"{self.spec.name}: {call.verb} was asked for after close().", hint="Make a new binding."
            )
        for gone in [w for w in self._workers if not w.alive]:
            self._workers.remove(gone)
            self._losses.note(gone)
        ready = [w for w in self._workers if w.started and w not in other_than and (beyond or w.calls < self._at_once)]
        best = min(ready, key=lambda w: w.calls, default=None)
        room = len(self._workers) < self.spec.policy.pool
        if best is not None and (best.calls == 0 or beyond or not room):
            return best, False
        if room and not (beyond and self._workers):
            self._losses.check()
            worker = Worker(self.spec)
            self._workers.append(worker)
            return worker, True
        if other_than:
            raise LookupError("each of the others is busy")
        return None, False

    @contextlib.contextmanager
    def taken(self, call: Call, *, beyond: bool = False, other_than: Sequence[Worker] = ()) -> Iterator[Worker]:
        """``take`` a worker, and ``give`` it back."""
        worker = self.take(call, beyond=beyond, other_than=other_than)
        try:
            yield worker
        finally:
            try:
                self.give(worker, call)
            except BaseException:  # Ctrl-C
                self.give(worker, call)
                raise

    def give(self, worker: Worker, call: Call, *, ok: bool = True) -> None:
        """A request has ended, well or not. What has been interrupted may be done again."""
        policy = self.spec.policy
        with self._lock:
            worker.done += bool(worker.users.pop(call, False))  # of verbs; whatever else is asked is no call
            if worker.alive and ok:
                self._losses.count = 0
            grown = worker.memory - worker.first_memory
            old = policy.max_calls is not None and worker.done >= policy.max_calls
            fat = policy.max_growth is not None and grown > policy.max_growth
            retired = self._retires(worker, old or fat)
            if policy.idle_timeout is not None and not any(w.users for w in self._workers):
                pool = weakref.ref(self)
                when = time.monotonic() + policy.idle_timeout
                self._idle = _idle.at(when, lambda: _end_idle(pool))
            self._wake()
        if retired:
            worker.stop()

    def _retires(self, worker: Worker, wanted: bool) -> bool:
        """Whether it is to be stopped now: it has served its time, or has other settings, and does nothing."""
        if worker.users or not (wanted or worker.unfit):
            return False
        known = worker in self._workers
        if known:
            self._workers.remove(worker)
        return known or worker.unfit

    @contextlib.contextmanager
    def asked(self, change: Mapping[str, Any] | None = None, but: Worker | None = None) -> Iterator[list[Worker]]:
        """All that run, for a request to each: none is ended meanwhile.

        Args:
            change: settings that those which are started from now on have, and those which are starting take over.
            but: not this one.
        """
        asking = object()
        workers: list[Worker] = []
        try:
            with self._lock:
                if change is not None:
                    self.spec.change(change)
                workers += [w for w in self._workers if w.alive and w.started and w is not but]
                for worker in workers:
                    worker.users[asking] = False
            yield workers
        finally:
            try:
                self._asked(workers, asking)
            except BaseException:  # Ctrl-C
                self._asked(workers, asking)
                raise

    def _asked(self, workers: list[Worker], asking: object) -> None:
        for worker in workers:
            with self._lock:
                worker.users.pop(asking, None)
                retired = self._retires(worker, False)
                self._wake()
            if retired:
                worker.stop()

    def retire(self, worker: Worker) -> None:
        """Give it nothing more to do. It ends when what it does has ended."""
        with self._lock:
            worker.unfit = True
            if worker in self._workers:
                self._workers.remove(worker)

    def all(self) -> list[Worker]:
        """Those that run."""
        with self._lock:
            return [w for w in self._workers if w.alive and w.started]

    def close(self) -> None:
        """End them all. Interrupted, it can be asked for again."""
        with self._lock:
            self._closed = True
            self._wake()
        while workers := list(self._workers):
            workers[0].stop()
            with self._lock:
                if workers[0] in self._workers:
                    self._workers.remove(workers[0])

    def kill(self) -> None:
        """End them all at once: nobody can ask them anything any more. Takes no lock: the garbage collector may ask."""
        self._closed = True
        for worker in list(self._workers):
            worker.kill("its binding was dropped", 0.0)

    @property
    def _at_once(self) -> int:
        return int(self.ready.get("description", {}).get("concurrency", 1))

    def _begin(self, worker: Worker) -> None:
        """Have it started, without the lock: others go on while a place that is far takes its time."""
        try:
            worker.begin(own=self._own)
        except LollmsError:
            raise  # also where it is an OSError
        except OSError as exc:
            raise WorkerCrashedError(
                f"{self.spec} could not be started: {exc}.",
                hint="Look whether its interpreter is still there, and whether the system has room for a process.",
                cause=str(exc),
            ) from exc

    def _start(self, worker: Worker, call: Call) -> None:
        """Make the binding in a new worker; those who wait for it get it when it has the settings of now."""
        self._begin(worker)
        worker.open(call)
        version = self.spec.version
        worker.make(call)
        while True:
            with self._lock:
                if version == self.spec.version:
                    worker.started = True
                    self._wake()
                    return
                version = self.spec.version
            worker.catch_up(call)

    def _drop(self, worker: Worker, exc: BaseException) -> None:
        """It could not be started."""
        worker.kill("it could not be started")
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
            if isinstance(exc, WorkerCrashedError):
                self._losses.note(worker)

    def _wake(self) -> None:
        """Let those who wait for a worker look again."""
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            woken.put(None)

    def end_idle(self) -> None:
        """End those that have nothing to do."""
        with self._lock:
            idle = [w for w in self._workers if not w.users]
            for worker in idle:
                self._workers.remove(worker)
        # Stopping may take a while, and other timers wait for this thread.
        for worker in idle:
            threading.Thread(target=worker.stop, name="lollms-stop", daemon=True).start()

    def _forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._lock = threading.Lock()
        self._waiting = []
        self._idle = None
        for worker in self._workers:
            worker.forget()
        self._workers = []


def _end_idle(pool: weakref.ref[Workers]) -> None:
    if (workers := pool()) is not None:
        workers.end_idle()


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
