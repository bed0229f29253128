"""The host's side: workers that are started when they are needed, and the requests that they run."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pydantic import ConfigDict

from lollms_modalities import __version__, hooks
from lollms_modalities._result import Provenance
from lollms_modalities._scheduler import Scheduler, Ticket
from lollms_modalities.call import Call, CancelToken
from lollms_modalities.errors import (
    BindingClosedError,
    BindingIncompatibleError,
    CallTimeout,
    LollmsError,
    WorkerCrashedError,
    WorkerTimeoutError,
)
from lollms_modalities.isolation import protocol
from lollms_modalities.isolation.channel import CLOSED, Channel, Disconnected
from lollms_modalities.isolation.masking import Secrets, declared_variables
from lollms_modalities.isolation.process import Output, WorkerProcess, hold_if_ending, worker_variables
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
        pass_variables: names of the host's variables that workers get although the names say that they hold secrets
            (KEY, TOKEN, SECRET, PASSWORD, CREDENTIAL); ``*`` stands for anything. Those that the binding declares
            (``setting(env=...)``) it gets anyway.
    """

    pool: int = 1
    grace: float = 5.0
    start_timeout: float = 300.0
    max_calls: int | None = None
    max_growth: int | None = None
    idle_timeout: float | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    pass_variables: Sequence[str] = ()


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
        self.version = 0  # of the settings
        self.secrets = Secrets()
        self.shared: dict[str, Any] = {}
        # Under the binding's name, so that a program can turn one engine's chatter up or down.
        self.log = logging.getLogger(f"lollms_modalities.isolation.{name}")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Workers that are started from now on have these settings."""
        self.settings = {**(self.settings or {}), **settings}
        self.version += 1

    def __str__(self) -> str:
        return f"The worker of the {self.modality} binding {self.name!r} ({self.place})"


class Worker:
    """One worker: its process and its connection.

    Attributes:
        ready: what it said of the binding when that was made.
        started: whether it has the binding, with the settings of now: others than its starter may ask it.
        users: whose requests it runs now, and whether they are verbs; ``done``: how many it has ended.
        unfit: whether it did not take settings that the others have: it ends with its last request.
    """

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        variables = {**worker_variables(own, spec.policy.pass_variables), **spec.policy.variables}
        self._variables = frozenset(variables)
        spec.secrets.note_variables(variables)
        output = Output(spec.log, spec.secrets.clean)
        self.process = WorkerProcess(spec.python, output, variables, own=own, lock=spec.lock)
        self.channel = Channel(self.process.sock)
        self.ready: Json = {}
        self.started = False
        # A dict, so that whoever was interrupted while giving it back may do so again.
        self.users: dict[object, bool] = {}
        self.done = 0
        self.memory = 0
        self.first_memory = 0
        self.reported = False
        self.unfit = False
        self._read = threading.Thread(target=self.channel.read, name="lollms-channel", daemon=True)
        self._read.start()
        # What the engine has started may keep the connection open: it ends with the worker itself.
        self.process.reap(self.channel.close)

    @property
    def calls(self) -> int:
        """How many verbs it runs now."""
        return sum(self.users.values())

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
        described = self.ready["description"]["settings"]
        for given in (self.spec.settings, self.spec.shared):
            self.spec.secrets.note(given, described)
        declared = {n: os.environ[n] for n in declared_variables(described) if n in os.environ}
        self.spec.secrets.note_variables(declared)
        out: list[Buffer] = []
        message = {
            "type": protocol.MAKE,
            "variables": {n: v for n, v in declared.items() if n not in self._variables},
            "settings": protocol.pack(self.spec.settings, out),
            "shared": protocol.pack(self.spec.shared, out),
        }
        self.ready |= self._begin(call, message, out)

    def catch_up(self, call: Call) -> None:
        """Take over settings that were changed while it started."""
        out: list[Buffer] = []
        message = {
            "type": protocol.CALL,
            "name": "set_settings",
            "positional": protocol.pack([self.spec.settings], out),
            "arguments": {},
        }
        self._begin(call, message, out)

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
                self.process.wait(0.5)
            except (Disconnected, Empty, TimeoutError):
                pass  # it is killed below
            except BaseException:  # Ctrl-C: whoever stops it has let go of it
                self.process.kill("it was stopped", 0.0)
                raise
        self.process.kill("it was stopped")
        self.channel.close()
        self.process.wait(5.0)
        self._read.join(5.0)

    def crash(self) -> WorkerCrashedError:
        """The error that says how it ended."""
        cause = self.process.cause()
        if self.channel.fault:
            cause = f"it said what nobody understands ({self.spec.secrets.clean(self.channel.fault):.200})"
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

    Attributes:
        ended: whether it has: with its last message, an error, or the worker's end.
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
        self.ended = False
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
            if not self.ended and not isinstance(exc, LollmsError):
                self.stop("interrupted")  # Ctrl-C, or a warning that is an error here
            raise

    def stop(self, reason: str = "") -> None:
        """Ask the worker to stop it, and wait until it has; the worker is killed if it takes too long."""
        if self.ended:
            return
        self._ask_to_stop(reason)
        while not self.ended:
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
            warnings.warn(protocol.unpack_warning(message), stacklevel=2)
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
        if not self.ended:
            self.ended = True
            self._remove()
            self._exchange.end()


class Workers:
    """The workers of one binding."""

    def __init__(self, spec: Spec, *, own: bool) -> None:
        self.spec = spec
        self._own = own
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._waiting: list[SimpleQueue[None]] = []
        self._crashes = 0
        self._not_before = 0.0
        self._idle: Ticket | None = None
        self._closed = False
        self.ready: Json = {}
        _pools.add(self)

    def open(self, cancel: CancelToken | None = None) -> None:
        """Start the first worker, which finds the class and tells what it is; ``cancel`` ends it meanwhile."""
        worker = self._begun()
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
            self._note_crash(gone)
        ready = [w for w in self._workers if w.started and w not in other_than and (beyond or w.calls < self._at_once)]
        best = min(ready, key=lambda w: w.calls, default=None)
        room = len(self._workers) < self.spec.policy.pool
        if best is not None and (best.calls == 0 or beyond or not room):
            return best, False
        if room and not (beyond and self._workers):
            self._check_not_looping()
            worker = self._begun()
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
            worker.users.pop(call, None)
            worker.done += 1
            if worker.alive and ok:
                self._crashes = 0
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
            worker.process.kill("its binding was dropped", 0.0)

    @property
    def _at_once(self) -> int:
        return int(self.ready.get("description", {}).get("concurrency", 1))

    def _begun(self) -> Worker:
        try:
            return Worker(self.spec, own=self._own)
        except OSError as exc:
            raise WorkerCrashedError(
                f"{self.spec} could not be started: {exc}.",
                hint="Look whether its interpreter is still there, and whether the system has room for a process.",
                cause=str(exc),
            ) from exc

    def _start(self, worker: Worker, call: Call) -> None:
        """Make the binding in a new worker; those who wait for it get it when it has the settings of now."""
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
        worker.process.kill("it could not be started")
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
            if isinstance(exc, WorkerCrashedError):
                self._note_crash(worker)

    def _wake(self) -> None:
        """Let those who wait for a worker look again."""
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            woken.put(None)

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
