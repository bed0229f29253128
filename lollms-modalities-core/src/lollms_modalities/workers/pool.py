"""The workers of one binding, which calls start as needed; ``elastic`` has those whose number follows the queue."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import WorkerCrashedError
from lollms_modalities.workers.host import Worker
from lollms_modalities.workers.losses import Losses, was_killed
from lollms_modalities.workers.turns import Waiter, closed, creating, forget_in_children, scheduler, weakly

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.workers.policy import Spec
    from lollms_modalities.workers.protocol import Json


class Workers:
    """The workers of one binding."""

    _adapts = False  # whether their number follows the queue

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        self._own = own
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._waiting: list[Waiter] = []
        self._losses = Losses(spec)
        self._idle: Ticket | None = None
        self._closed = False
        self.ready: Json = {}
        forget_in_children(self)

    def open(self, cancel: CancelToken | None = None) -> None:
        """Start the first worker, which finds the class and tells what it is; ``cancel`` ends it meanwhile."""
        worker = Worker(self.spec)
        with creating(worker, cancel) as call:
            call.on_cancel(worker.abandon)
            self._begin(worker)
            worker.open(call)
            self.ready = worker.ready
            self._workers.append(worker)

    def make(self, settings: Mapping[str, Any], shared: Mapping[str, Any], cancel: CancelToken | None = None) -> None:
        """Make the binding in it; ``cancel`` ends it meanwhile."""
        self.spec.settings, self.spec.shared = dict(settings), dict(shared)
        if not self._workers or not self._workers[0].alive:
            self._workers.clear()
            self.open(cancel)
        worker = self._workers[0]
        try:
            with creating(worker, cancel) as call:
                worker.make(call)
        except BaseException:
            worker.kill("it could not be started")  # Ctrl-C may come before `creating` is at it
            self._workers.clear()
            raise
        worker.started, self.ready = True, worker.ready

    def take(
        self, call: Call, *, beyond: bool = False, other_than: Sequence[Worker] = (), again: bool = True
    ) -> Worker:
        """A worker for one request, started if need be; waits for one that is free.

        Args:
            call: whose request it is; stopping it ends the waiting.
            beyond: one that is fully busy will do, too: the request is no verb.
            other_than: not one of these; with them, raises ``LookupError`` where one would have to be waited for.
            again: whether another is started where one is killed by others before it is there.

        Raises:
            WorkerRestartError: workers have crashed one after another, and the next start has to wait.
            WorkerCrashedError: the one that was started for it has crashed.
            BindingClosedError: ``close`` was called.
        """
        waiter: Waiter | None = None
        try:
            with self._lock:
                if not other_than and (worker := self._free(call, beyond)) is not None:
                    return worker
                waiter = Waiter(call, beyond, other_than)
                self._waiting.append(waiter)
                self._serve()
            if not waiter.served:
                remove = call.on_cancel(waiter.wake)
                try:
                    while not waiter.served:
                        waiter.wait()
                        call.check()
                finally:
                    remove()
            waiter.taken = True
            if waiter.error is not None:
                raise waiter.error
            assert waiter.worker is not None
            if waiter.fresh:
                self._start(waiter.worker, call)
            return waiter.worker
        except BaseException as exc:  # Ctrl-C, too: a place that is not given back would be waited for in vain
            if waiter is None:
                for worker in [w for w in self._workers if call in w.users]:
                    self.give(worker, call, ok=False)
                raise
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
            if waiter.worker is not None:
                if waiter.fresh:
                    self._drop(waiter.worker, exc)
                self.give(waiter.worker, call, ok=False)
            if not (again and waiter.fresh and waiter.worker is not None and was_killed(waiter.worker, exc)):
                raise
        return self.take(call, beyond=beyond, other_than=other_than, again=False)

    def _free(self, call: Call, beyond: bool) -> Worker | None:
        """The one worker there is, where nobody waits and it has room: most calls find that. With the lock."""
        if self._adapts or self._waiting or self._closed or self._idle is not None or len(self._workers) != 1:
            return None
        worker = self._workers[0]
        if not (worker.started and worker.alive) or worker.leaving or (worker.users and not beyond):
            return None
        worker.users[call] = not beyond
        return worker

    def _serve(self) -> None:
        """Give what there is to those who wait, the first first. With the lock. Interrupted, it can be done again."""
        for gone in [w for w in self._workers if w.started and not w.alive]:  # of the others whoever starts them tells
            self._workers.remove(gone)
            self._losses.note(gone)
        for left in [w for w in self._workers if w.started and w.leaving]:
            self._workers.remove(left)
            left.unfit = True  # it ends with its last request
            if not left.users:
                self._stop_aside(left)
        full = False
        for waiter in list(self._waiting):
            if full and waiter.plain:
                continue  # there was nothing for one before it, who asked for no more
            if not waiter.served:
                try:
                    if self._closed:
                        raise closed(self.spec.name, waiter)
                    self._choose(waiter)
                except Exception as exc:
                    waiter.error = exc
            if (worker := waiter.worker) is not None and not waiter.taken:
                if worker not in self._workers:
                    self._workers.append(worker)
                worker.users[waiter.call] = not waiter.beyond
                self._stop_idle()
            full = full or (waiter.plain and not waiter.served)
            if waiter.served:
                waiter.wake()
                self._waiting.remove(waiter)

    def _choose(self, waiter: Waiter) -> None:
        """Give it a worker that can be asked now, or that it has to start first; none where it is to wait."""
        best = min(self._ready(waiter), key=lambda w: w.calls, default=None)
        room = len(self._workers) < self.spec.policy.most
        if best is not None and (best.calls == 0 or waiter.beyond or not room):
            waiter.worker = best
        elif room and not (waiter.beyond and self._workers):
            self._losses.check()
            waiter.fresh = True
            waiter.worker = Worker(self.spec)
        elif waiter.other_than:
            raise LookupError("each of the others is busy")

    def _ready(self, waiter: Waiter) -> list[Worker]:
        """Those that it can ask now."""
        others, most = waiter.other_than, sys.maxsize if waiter.beyond else self.places
        return [w for w in self._workers if w.started and w not in others and w.calls < most]

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

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
        with self._lock:
            worker.done += bool(worker.users.pop(call, False))  # of verbs; whatever else is asked is no call
            if (alive := worker.alive) and ok:
                self._losses.count = 0
            retired = self._retires(worker, worker.worn())
            self._note_idle(worker)
            if self._waiting or not alive or self._adapts:
                self._serve()
        if retired:
            worker.stop()

    def _note_idle(self, worker: Worker) -> None:
        """It may have nothing to do from now on."""
        worker.idle_since = time.monotonic()
        if self.spec.policy.idle_timeout is not None and not any(w.users for w in self._workers):
            self._stop_idle()
            when = worker.idle_since + self.spec.policy.idle_timeout
            self._idle = scheduler.at(when, weakly(self.end_idle))

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
                self._serve()
            if retired:
                worker.stop()

    def retire(self, worker: Worker) -> None:
        """Give it nothing more to do. It ends when what it does has ended."""
        with self._lock:
            worker.unfit = True
            self._workers[:] = [w for w in self._workers if w is not worker]

    def all(self) -> list[Worker]:
        """Those that run."""
        with self._lock:
            return [w for w in self._workers if w.alive and w.started]

    def close(self) -> None:
        """End them all. Interrupted, it can be asked for again."""
        with self._lock:
            self._closed = True
            self._serve()
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
    def usual(self) -> int:
        """How many there are when all are loaded."""
        return self.spec.policy.most

    @property
    def places(self) -> int:
        """How many calls one worker runs side by side."""
        return int(self.ready.get("description", {}).get("concurrency", 1))

    def _begin(self, worker: Worker) -> None:
        """Have it started, without the lock: others go on while a place that is far takes its time."""
        worker.begin(own=self._own)
        if self._closed:  # meanwhile; whoever closed it may not have seen it yet
            worker.kill("its binding was closed", 0.0)

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
                    worker.idle_since = time.monotonic()
                    self._serve()
                    return
                version = self.spec.version
            worker.catch_up(call)

    def _drop(self, worker: Worker, exc: BaseException) -> None:
        """It could not be started."""
        worker.kill("it could not be started")
        with self._lock:
            self._workers[:] = [w for w in self._workers if w is not worker]
            if isinstance(exc, WorkerCrashedError):
                self._losses.note(worker)

    def end_idle(self) -> None:
        """End those that have nothing to do."""
        with self._lock:
            idle = [w for w in self._workers if not w.users]
            self._workers = [w for w in self._workers if w.users]
        # Stopping may take a while, and other timers wait for this thread.
        for worker in idle:
            self._stop_aside(worker)

    def _stop_aside(self, worker: Worker) -> None:
        threading.Thread(target=worker.stop, name="lollms-stop", daemon=True).start()

    def forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._lock = threading.Lock()
        self._waiting, self._idle = [], None
        for worker in self._workers:
            worker.forget()
        self._workers = []
