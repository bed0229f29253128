"""The host's side: workers that are started when they are needed, and the requests that they run."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from pydantic import ConfigDict

from lollms_modalities import __version__, hooks
from lollms_modalities._result import Provenance
from lollms_modalities._scheduler import Scheduler, Ticket
from lollms_modalities.call import Call, CancelToken
from lollms_modalities.errors import (
    BindingIncompatibleError,
    CallTimeout,
    LollmsError,
    WorkerCrashedError,
    WorkerTimeoutError,
)
from lollms_modalities.isolation import protocol
from lollms_modalities.isolation.channel import CLOSED, Channel, Disconnected
from lollms_modalities.isolation.process import WorkerProcess, hold_if_ending
from lollms_modalities.isolation.protocol import Buffer, Json
from lollms_modalities.settings import CallOptions

_CRASHES = 3  # in a row, before the next start has to wait
_LONGEST_WAIT = 60.0
_idle = Scheduler("lollms-idle-workers")


@dataclass(frozen=True)
class WorkerPolicy:
    """How the workers of one binding are kept.

    Attributes:
        pool: how many there may be at once; each runs as many calls as the binding declares (mostly one).
        grace: seconds that a call may take to stop after it was asked to; then its worker is killed.
        start_timeout: seconds that a worker may take to start and make the binding.
        max_calls: a worker is replaced after so many calls; None for never.
        max_growth: or when it has grown by so many bytes since its first call; None for never (Linux).
        idle_timeout: or ended when it had nothing to do for so many seconds; None for never.
        variables: environment variables of the workers, besides the host's.
    """

    pool: int = 1
    grace: float = 5.0
    start_timeout: float = 300.0
    max_calls: int | None = None
    max_growth: int | None = None
    idle_timeout: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


class Spec:
    """What every worker of one binding is started with.

    Attributes:
        python: the interpreter; ``place`` says where that is, for messages.
        lock: the file that keeps its environment from being taken away, or None.
        settings, shared: which the binding is made with, None before it is; ``settings`` follows ``set_settings``.
    """

    def __init__(
        self, modality: str, name: str, python: Path, place: str, directory: str | None, policy: WorkerPolicy,
        distribution: str | None = None, lock: Path | None = None,
    ) -> None:  # fmt: skip
        self.modality = modality
        self.name = name
        self.python = python
        self.place = place
        self.directory = directory
        self.distribution = distribution
        self.policy = policy
        self.lock = lock
        self.settings: dict[str, Any] | None = None
        self.shared: dict[str, Any] = {}
        # Under the binding's name, so that a program can turn one engine's chatter up or down.
        self.log = logging.getLogger(f"lollms_modalities.isolation.{name}")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Workers that are started from now on have these settings."""
        self.settings = {**(self.settings or {}), **settings}

    def __str__(self) -> str:
        return f"The worker of the {self.modality} binding {self.name!r} ({self.place})"


class Worker:
    """One worker: its process and its connection.

    Attributes:
        ready: what it said of the binding when that was made.
        calls: how many it runs now; ``done``: how many it has ended.
    """

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        self.process = WorkerProcess(spec.python, spec.log, spec.policy.variables, own=own, lock=spec.lock)
        self.channel = Channel(self.process.sock)
        self.ready: Json = {}
        self.calls = 0
        self.done = 0
        self.memory = 0
        self.first_memory = 0
        self.reported = False
        self._read = threading.Thread(target=self.channel.read, name="lollms-channel", daemon=True)
        self._read.start()
        # What the engine has started may keep the connection open: it ends with the worker itself.
        self.process.reap(self.channel.close)

    @property
    def alive(self) -> bool:
        """Whether requests can be sent to it."""
        return not self.channel.closed

    def open(self, call: Call) -> None:
        """Wait until it has found the binding's class.

        Raises:
            BindingIncompatibleError: it speaks another protocol.
            BindingUnavailableError: the binding is not to be had there.
            WorkerCrashedError: it ended, or took too long.
        """
        hello = {
            "type": protocol.HELLO,
            "protocol": protocol.VERSION,
            "core": __version__,
            "modality": self.spec.modality,
            "name": self.spec.name,
            "directory": self.spec.directory,
            "distribution": self.spec.distribution,
        }
        self.ready = self._begin(call, hello, [])
        if self.ready["protocol"] != protocol.VERSION:
            self.process.kill("it speaks another protocol")
            raise BindingIncompatibleError(
                f"{self.spec} has lollms-modalities-core {self.ready['core']}, which speaks version "
                f"{self.ready['protocol']} of the protocol. Here is {__version__}, with version {protocol.VERSION}.",
                hint=f'Run "{self.spec.python}" -m pip install "lollms-modalities-core=={__version__}".',
            )

    def make(self, call: Call) -> None:
        """Wait until it has made the binding. Raises what that raised, or ``WorkerCrashedError``."""
        out: list[Buffer] = []
        message = {
            "type": protocol.MAKE,
            "settings": protocol.pack(self.spec.settings, out),
            "shared": protocol.pack(self.spec.shared, out),
        }
        self.ready |= self._begin(call, message, out)

    def _begin(self, call: Call, message: Json, out: list[Buffer]) -> Json:
        try:
            # Nothing of the user's runs yet, so that there is nothing to be gentle with.
            return Request(self, call, message, out, grace=0.0, limit=self.spec.policy.start_timeout).result()[0]
        except BaseException:
            self.process.kill("it could not be started")
            raise

    def stop(self) -> None:
        """End it: the binding is closed, and what does not end in time is killed."""
        if self.alive:
            exchange = self.channel.exchange()
            until = time.monotonic() + self.spec.policy.grace
            try:
                exchange.send({"type": protocol.BYE}, (), lambda: _in_time(until))
                exchange.get(timeout=self.spec.policy.grace)
            except (Disconnected, Empty, TimeoutError):
                pass  # it is killed below
            self.process.wait(0.5)
        self.process.kill("it was stopped")
        self.process.wait(5.0)
        self.channel.close()

    def crash(self) -> WorkerCrashedError:
        """The error that says how it ended."""
        cause = self.process.cause()
        lines = self.process.last_lines()
        said = "".join(f"\n  {line}" for line in lines)
        return WorkerCrashedError(
            f"{self.spec} is gone: {cause}." + (f" It last printed:{said}" if lines else ""),
            hint="" if lines else "It printed nothing.",
            cause=cause,
            exit_code=self.process.exit_code,
            last_lines=lines,
        )


class _SeenOptions(CallOptions):
    """The options of a call as the worker has checked them, for plug-ins to see."""

    model_config = ConfigDict(extra="allow")


def _in_time(until: float) -> None:
    if time.monotonic() >= until:
        raise TimeoutError


class Request:
    """One request to a worker: it is sent when it is made; the thread that made it waits for what comes.

    Args:
        call: whose progress and stopping it is.
        grace: seconds between asking it to stop and killing the worker.
        limit: seconds that it may take in all; the worker is killed after that.
    """

    def __init__(
        self, worker: Worker, call: Call, message: Json, payloads: list[Buffer], *, grace: float,
        limit: float | None = None,
    ) -> None:  # fmt: skip
        self._worker = worker
        self._call = call
        self._grace = grace
        self._kill_at = None if limit is None else time.monotonic() + limit
        self._limit = limit
        self._asked_to_stop = False
        self._ended = False
        if worker.spec.policy.max_growth is not None:
            message["watch_memory"] = True
        exchange = self._exchange = worker.channel.exchange()
        self._remove = call.on_cancel(lambda: exchange.put({"type": "stop"}))
        try:
            exchange.send(message, payloads, self._look)
        except Disconnected:
            pass  # the reading side says so, too, and wakes us
        except BaseException:
            self._end()
            raise

    def result(self) -> tuple[Json, Any]:
        """Wait for the end: the last message and its payloads; progress, warnings and the beginning are passed on.

        Raises:
            LollmsError: what the worker raised.
            WorkerCrashedError: it is gone.
        """
        while True:
            message, payloads = self.next()
            if message["type"] in (protocol.RESULT, protocol.READY):
                return message, payloads

    def next(self) -> tuple[Json, Any]:
        """The next item, or the end, of a stream; otherwise as ``result``."""
        try:
            while True:
                try:
                    message, payloads = self._exchange.get(self._patience())
                except Empty:
                    self._out_of_patience()
                    continue
                kind = message["type"]
                if kind == protocol.ITEM:
                    self._exchange.took_item()
                    return message, payloads
                if kind in (protocol.RESULT, protocol.READY):
                    self._end()
                    self._remember(message)
                    return message, payloads
                self._handle(kind, message, payloads)
        except Disconnected:
            raise self._crashed() from None
        except BaseException as exc:
            if not self._ended and not isinstance(exc, LollmsError):
                self.stop("interrupted")  # Ctrl-C, or a warning that is an error here
            raise

    def stop(self, reason: str = "") -> None:
        """Ask the worker to stop it, and wait until it has; the worker is killed if it takes too long."""
        if self._ended:
            return
        self._ask_to_stop(reason)
        while not self._ended:
            try:
                message, _ = self._exchange.get(self._patience())
            except Empty:
                self._worker.process.kill("a call did not stop when it was told to")
                break
            if message["type"] in (protocol.RESULT, protocol.ERROR, protocol.READY, CLOSED["type"]):
                self._remember(message)
                break
        self._end()

    def _handle(self, kind: str, message: Json, payloads: Any) -> None:
        call = self._call
        if kind == "stop":
            self._ask_to_stop(str(call._stop or ""))
        elif kind == protocol.PROGRESS:
            if not self._asked_to_stop:
                stage, done, total, unit, preview = protocol.unpack(message["report"], payloads)
                try:
                    call.report(done, total, stage=stage, unit=unit, preview=preview)
                except BaseException:
                    # What the caller is to see is kept by the call; first the engine must have ended.
                    self._ask_to_stop("its progress function raised")
        elif kind == protocol.BEGIN:
            call.options = _SeenOptions.model_construct(**message["options"])
            if (relay := hooks.relay()) is not None and call.binding is not None:
                relay.before_call(call.binding, call)
        elif kind == protocol.WARNING:
            category = getattr(__import__("builtins"), message["category"], UserWarning)
            warnings.warn(message["message"], category, stacklevel=2)
        elif kind == protocol.ERROR:
            self._end()
            raise protocol.unpack_error(message)
        elif kind == CLOSED["type"]:
            raise self._crashed()

    def _remember(self, message: Json) -> None:
        memory = message.get("memory")
        if memory:
            self._worker.memory = memory
            self._worker.first_memory = self._worker.first_memory or memory
        if (provenance := message.get("provenance")) is not None:
            self._call.recorded = {"provenance": Provenance.from_json(provenance)}

    def _ask_to_stop(self, reason: str) -> None:
        if self._asked_to_stop:
            return
        self._asked_to_stop = True
        self._kill_at = time.monotonic() + self._grace
        if self._grace:
            cancel = {"type": protocol.CANCEL, "id": self._exchange.number, "reason": reason}
            with contextlib.suppress(Disconnected):  # which the reading side says, too
                self._worker.channel.send(cancel, (), self._look)

    def _patience(self) -> float | None:
        return None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())

    def _look(self) -> None:
        """While the worker does not take what is sent to it."""
        call = self._call
        if call.stopped and self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._out_of_patience()

    def _out_of_patience(self) -> None:
        """It was told to stop, or has a limit, and goes on."""
        call = self._call
        if not call.stopped and not self._asked_to_stop:
            self._worker.process.kill(f"it took longer than {self._limit:g} s")
            raise self._crashed()
        self._worker.process.kill(f"{call.verb} did not stop within {self._grace:g} s of being told to")
        self._end()
        if isinstance(call._stop, CallTimeout):
            timeout, crash = call._stop, self._worker.crash()
            call._stop = WorkerTimeoutError(
                f"{timeout.message} It did not stop within {self._grace:g} s either, and its worker was killed."
                f" {crash.message}",
                hint=timeout.hint,
                verb=call.verb,
            )
        call.check()
        raise self._crashed()

    def _crashed(self) -> WorkerCrashedError:
        hold_if_ending()
        self._end()
        self._worker.channel.close()
        return self._worker.crash()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._remove()
            self._exchange.end()


class Workers:
    """The workers of one binding."""

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        self._own = own
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._crashes = 0
        self._not_before = 0.0
        self._idle: Ticket | None = None
        self._closed = False
        self.ready: Json = {}
        _pools.add(self)

    def open(self, cancel: CancelToken | None = None) -> None:
        """Start the first worker, which finds the class and tells what it is; ``cancel`` ends it meanwhile."""
        worker = Worker(self.spec, own=self._own)
        call = Call("create_binding")
        call.control(None, cancel, None)
        try:
            worker.open(call)
        finally:
            call.finish()
        self.ready = worker.ready
        self._workers.append(worker)

    def make(self, settings: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        """Make the binding in it."""
        self.spec.settings, self.spec.shared = dict(settings), dict(shared)
        if not self._workers or not self._workers[0].alive:
            self._workers.clear()
            self.open()
        worker = self._workers[0]
        try:
            worker.make(Call("create_binding"))
        except BaseException:
            self._workers.clear()
            raise
        self.ready = worker.ready

    def take(self, call: Call, *, beyond: bool = False) -> Worker:
        """A worker for one request, started if need be; ``beyond`` takes one that is fully busy, too.

        Raises:
            WorkerCrashedError: workers have crashed one after another, and the next start has to wait.
        """
        with self._lock:
            alive = [w for w in self._workers if w.alive]
            for gone in [w for w in self._workers if not w.alive]:
                self._workers.remove(gone)
                self._note_crash(gone)
            fresh = False
            free = sorted((w for w in alive if w.calls < self._at_once), key=lambda w: w.calls)
            if free and (free[0].calls == 0 or len(alive) >= self.spec.policy.pool):
                worker = free[0]
            elif alive and beyond:
                worker = min(alive, key=lambda w: w.calls)
            else:
                self._check_not_looping()
                worker, fresh = Worker(self.spec, own=self._own), True
                self._workers.append(worker)
            worker.calls += 1
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
        if fresh:
            self._start(worker, call)
        return worker

    def give(self, worker: Worker, *, ok: bool) -> None:
        """A request has ended."""
        policy = self.spec.policy
        with self._lock:
            worker.calls -= 1
            worker.done += 1
            if worker.alive and ok:
                self._crashes = 0
            grown = worker.memory - worker.first_memory
            old = policy.max_calls is not None and worker.done >= policy.max_calls
            fat = policy.max_growth is not None and grown > policy.max_growth
            retired = worker.calls == 0 and (old or fat) and worker in self._workers
            if retired:
                self._workers.remove(worker)
            if policy.idle_timeout is not None and not any(w.calls for w in self._workers):
                pool = weakref.ref(self)
                when = time.monotonic() + policy.idle_timeout
                self._idle = _idle.at(when, lambda: _end_idle(pool))
        if retired:
            worker.stop()

    def all(self) -> list[Worker]:
        """Those that run."""
        with self._lock:
            return [w for w in self._workers if w.alive and w.ready]

    def close(self) -> None:
        """End them all."""
        with self._lock:
            workers, self._workers = self._workers, []
            self._closed = True
        for worker in workers:
            worker.stop()

    def kill(self) -> None:
        """End them all at once: nobody can ask them anything any more."""
        for worker in self._workers:
            worker.process.kill("its binding was dropped", 0.0)

    @property
    def _at_once(self) -> int:
        return int(self.ready.get("description", {}).get("concurrency", 1))

    def _start(self, worker: Worker, call: Call) -> None:
        try:
            worker.open(call)
            worker.make(call)
        except BaseException as exc:
            with self._lock:
                worker.calls -= 1
                if worker in self._workers:
                    self._workers.remove(worker)
                if isinstance(exc, WorkerCrashedError):
                    self._note_crash(worker)
            raise

    def _note_crash(self, worker: Worker) -> None:
        if worker.reported or worker.process.killed_because:
            return  # ended by us
        worker.reported = True
        self._crashes += 1
        if self._crashes >= _CRASHES:
            self._not_before = time.monotonic() + min(_LONGEST_WAIT, 0.5 * 2 ** (self._crashes - _CRASHES))

    def _check_not_looping(self) -> None:
        left = self._not_before - time.monotonic()
        if self._crashes >= _CRASHES and left > 0:
            raise WorkerCrashedError(
                f"{self.spec} was lost {self._crashes} times in a row; it is not started again for {left:.1f} s.",
                hint="Look at what it printed before it ended: the log has it under "
                f"{self.spec.log.name}, the errors before this one too.",
                retry_after=round(left, 3),
            )

    def end_idle(self) -> None:
        """End those that have nothing to do."""
        with self._lock:
            idle = [w for w in self._workers if not w.calls]
            for worker in idle:
                self._workers.remove(worker)
        # Stopping may take a while, and other timers wait for this thread.
        for worker in idle:
            threading.Thread(target=worker.stop, name="lollms-stop", daemon=True).start()

    def _forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        self._lock = threading.Lock()
        for worker in self._workers:
            worker.channel.forget()
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
