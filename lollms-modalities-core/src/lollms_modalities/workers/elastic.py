"""The workers of a binding whose number follows the queue: ``pool=(0, 8)``.

Calls wait in one queue and start nothing themselves. A worker is started for them in a thread of its own, so that each
gets the first that is free, whether it was started or has become free; ``scaling`` has the rule. A start that fails is
told to the first who waits, unless other workers are there to serve it; then to the log.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import Call
from lollms_modalities.errors import WorkerCrashedError
from lollms_modalities.workers.host import Worker
from lollms_modalities.workers.losses import was_killed
from lollms_modalities.workers.pool import Workers
from lollms_modalities.workers.scaling import Queue, Rule
from lollms_modalities.workers.turns import scheduler, weakly

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.scheduler import Ticket
    from lollms_modalities.workers.policy import Spec
    from lollms_modalities.workers.turns import Waiter


class ElasticWorkers(Workers):
    """The workers of one binding, as many as its queue wants."""

    _adapts = True

    def __init__(self, spec: Spec, rule: Rule, *, own: bool) -> None:
        super().__init__(spec, own=own)
        self._rule = rule
        self._look: tuple[float, Ticket] | None = None  # when it is looked again
        self._made = False

    @property
    def usual(self) -> int:
        """How many are there without being asked anything; at least one, which who asks for it gets."""
        return max(1, self._rule.least)

    def make(self, settings: Mapping[str, Any], shared: Mapping[str, Any], cancel: CancelToken | None = None) -> None:
        """Make the binding in the first worker, which ends again when nobody asks it; and start those that stay."""
        super().make(settings, shared, cancel)
        first = self._workers[0]
        first.idle_since = time.monotonic()
        first.on_end = weakly(self._adapt)
        with self._lock:
            self._made = True
            self._serve()

    def _choose(self, waiter: Waiter) -> None:
        """The one with the most to do that has a place free, so that others may end; of such, the one used last."""
        best = max(self._ready(waiter), key=lambda w: (w.calls, w.idle_since), default=None)
        if best is not None:
            waiter.worker = best
        elif not self._workers:
            self._losses.check()
        elif waiter.other_than and all(w.started for w in self._workers):
            raise LookupError("each of the others is busy")

    def _serve(self) -> None:
        super()._serve()
        now = time.monotonic()
        if self._closed or not self._made or self._is_settled(now):
            return
        queue = self._queue()
        held = self._losses.left()
        if not held:
            for _ in range(self._rule.starts(now, queue)):
                self._start_another()
            if any(w.served for w in self._waiting):  # it could not
                super()._serve()
        idle = sorted((w for w in self._workers if w.started and not w.users), key=lambda w: w.idle_since)
        for worker in idle[: self._rule.ends(now, queue)]:
            self._workers.remove(worker)
            self._stop_aside(worker)
        when = self._rule.look(now, self._queue())
        if held and (self._waiting or len(self._workers) < self._rule.least):
            when = min(when or now + held, now + held)
        if when is not None and (self._look is None or when < self._look[0]):
            if self._look is not None:
                self._look[1].cancel()
            self._look = when, scheduler.at(when, weakly(self._due))

    def _is_settled(self, now: float) -> bool:
        """Whether there is nothing to do before it is looked again: most calls come and go like that."""
        over = len(self._workers) - self._rule.least
        looked = self._look is not None and self._look[0] <= now + self._rule.idle
        return not self._waiting and (over == 0 or (over > 0 and looked))

    def _queue(self) -> Queue:
        """As the rule sees it."""
        workers = self._workers
        return Queue(
            late=[w.came for w in self._waiting if w.plain],
            any_waits=bool(self._waiting),
            workers=len(workers),
            starting=sum(not w.started for w in workers),
            idle=sorted(w.idle_since for w in workers if w.started and not w.users),
            places=self.places,
        )

    def _due(self) -> None:
        with self._lock:
            self._look = None
            self._serve()

    def _adapt(self) -> None:
        """A worker's process has ended: another may be wanted."""
        with self._lock:
            self._serve()

    def _start_another(self) -> None:
        worker = Worker(self.spec)
        worker.on_end = weakly(self._adapt)
        self._workers.append(worker)
        try:
            threading.Thread(target=self._started, args=(worker,), name="lollms-start", daemon=True).start()
        except RuntimeError as exc:  # no thread can be had
            self._workers.remove(worker)
            self._not_started(worker, WorkerCrashedError(f"{self.spec} could not be started: {exc}.", cause=str(exc)))

    def _started(self, worker: Worker) -> None:
        call = Call("start")
        try:
            self._start(worker, call)
        except BaseException as exc:
            self._drop(worker, exc)
            with self._lock:
                self._not_started(worker, exc)
                self._serve()
        finally:
            call.finish()

    def _not_started(self, worker: Worker, exc: BaseException) -> None:
        """With the lock, which whoever serves after it has, too."""
        if self._closed:
            return
        self._losses.add(worker)
        first = next((w for w in self._waiting if not w.served), None)
        if first is not None and not self._workers and not was_killed(worker, exc):
            first.error = exc
        else:
            self.spec.log.warning("%s", exc)

    def _stop_idle(self) -> None:
        """Nothing is to be ended when all are idle: the rule says when which is."""

    def _note_idle(self, worker: Worker) -> None:
        worker.idle_since = time.monotonic()

    def forget(self) -> None:
        super().forget()
        self._look = None
