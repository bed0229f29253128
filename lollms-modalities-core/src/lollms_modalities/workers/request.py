"""One request to a worker, and what comes back while it runs."""

from __future__ import annotations

import contextlib
import time
import warnings
from queue import Empty
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from lollms_modalities import hooks
from lollms_modalities.calls.handlers import raised_by_handler
from lollms_modalities.errors import CallTimeout, LollmsError, WorkerTimeoutError
from lollms_modalities.media.result import Provenance
from lollms_modalities.settings.base import CallOptions
from lollms_modalities.workers import aligning, protocol
from lollms_modalities.workers.exchange import CLOSED, Disconnected
from lollms_modalities.workers.process import hold_if_ending
from lollms_modalities.workers.remote_errors import unpack_error, unpack_warning
from lollms_modalities.workers.values import unpack

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.errors import WorkerCrashedError
    from lollms_modalities.workers.host import Worker
    from lollms_modalities.workers.protocol import Buffer, Json


class SeenOptions(CallOptions):
    """The options of a call as the worker has checked them, for plug-ins to see."""

    model_config = ConfigDict(extra="allow")


class Request:
    """One request to a worker: it is sent when it is made; the thread that made it waits for what comes.

    Args:
        call: whose progress and stopping it is.
        grace: seconds between asking it to stop and killing the worker.
        limit: seconds that it may take in all; the worker is killed after that.

    Attributes:
        exchange: its messages.
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
        exchange = self.exchange = worker.channel.exchange()
        self._remove = call.on_cancel(lambda: exchange.put({"type": "stop"}))
        try:
            exchange.send(message, payloads, self._look)
        except Disconnected:
            exchange.put(CLOSED)  # whoever reads says so, too, unless our descriptor was closed under its hands
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
                    message, payloads = self.exchange.get(self._patience())
                except Empty as exc:
                    if raised_by_handler(exc):
                        raise
                    self._out_of_patience()
                    continue
                kind = message["type"]
                if kind == protocol.ITEM:
                    self.exchange.took_item()
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
        while not self.ended and not self.exchange.lost:
            try:
                message, _ = self.exchange.get(self._patience())
            except Empty:
                self._worker.process.kill("a call did not stop when it was told to")
                break
            if message["type"] in (*protocol.ENDS, CLOSED["type"]):
                self._remember(message)
                break
        self._end()

    def _handle(self, kind: str, message: Json, payloads: Any) -> None:
        call = self._call
        if kind == "stop":
            self._ask_to_stop(str(call._stop or ""))
        elif kind == protocol.PROGRESS:
            if not self._asked_to_stop:
                stage, done, total, unit, preview = unpack(message["report"], payloads)
                try:
                    call.report(done, total, stage=stage, unit=unit, preview=preview)
                except BaseException:
                    # What the caller is to see is kept by the call; first the engine must have ended.
                    self._ask_to_stop("its progress function raised")
        elif kind == protocol.BEGIN:
            call.options = SeenOptions.model_construct(**message["options"])
            if (relay := hooks.relay()) is not None and call.binding is not None:
                relay.before_call(call.binding, call)
        elif kind == protocol.ALIGN:
            self.exchange.send(aligning.answer(call, message), (), self._look)
        elif kind == protocol.WARNING:
            warnings.warn(unpack_warning(message), stacklevel=2)
        elif kind == protocol.ERROR:
            self._end()
            raise unpack_error(message)
        elif kind == CLOSED["type"]:
            raise self._crashed()

    def _remember(self, message: Json) -> None:
        memory = message.get("memory")
        if memory:
            self._worker.memory = memory
            self._worker.first_memory = self._worker.first_memory or memory
        if (provenance := message.get("provenance")) is not None:
            self._call.recorded = {**(self._call.recorded or {}), "provenance": Provenance.from_json(provenance)}

    def _ask_to_stop(self, reason: str) -> None:
        if self._asked_to_stop:
            return
        self._asked_to_stop = True
        self._kill_at = time.monotonic() + self._grace
        if self._grace:
            cancel = {"type": protocol.CANCEL, "id": self.exchange.number, "reason": reason}
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
            self.exchange.end()
