"""One request of the host's, as a worker answers it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lollms_modalities import hooks
from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.calls.progress import Progress
from lollms_modalities.contract.spoken import ELSEWHERE
from lollms_modalities.contract.verbs import check_arguments
from lollms_modalities.errors import LollmsError
from lollms_modalities.settings.shown import shown
from lollms_modalities.workers import aligning, protocol
from lollms_modalities.workers.carrying import without_files
from lollms_modalities.workers.exchange import Disconnected, Exchange
from lollms_modalities.workers.feeding import Incoming
from lollms_modalities.workers.memory import memory_of
from lollms_modalities.workers.paths_here import check_there
from lollms_modalities.workers.protocol import Buffer, Json
from lollms_modalities.workers.remote_errors import pack_error, pack_warning
from lollms_modalities.workers.values import pack, told_provenance, unpack

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.workers.worker import Worker

_PAUSE = 0.005  # seconds between two reports of progress, which may be thousands
_SMALL = 1 << 16  # bytes of an answer that nobody has to wait for
CURRENT: ContextVar[Request | None] = ContextVar("lollms_request", default=None)


class Request:
    """One exchange that the host began."""

    def __init__(self, worker: Worker, exchange: Exchange) -> None:
        self._worker = worker
        self._exchange = exchange
        self._token = CancelToken()
        self._reported: tuple[Progress, bool] | None = None
        self._told = 0.0
        self._incoming: Incoming | None = None
        self.in_main = False  # whether the main thread runs it, and takes no other meanwhile
        self._aligner = aligning.HostsAligner(exchange)
        self.tell = False

    def run(self) -> None:
        """Take the message, do what it says, answer."""
        exchange = self._exchange
        CURRENT.set(self)
        if self._worker.host_minor >= aligning.SINCE:
            ELSEWHERE.set(self._aligner)
        try:
            out: list[Buffer] = []
            try:
                answer = self._do(out)
            except Disconnected:
                raise
            except BaseException as exc:
                out = []
                answer = {"type": protocol.ERROR, **pack_error(exc, self._worker.clean)}
            self._flush()
            if self.in_main and sum(map(len, out)) <= _SMALL:
                # The next request may be here before this thread goes on, and is to find it free.
                self.in_main = False
                self._worker.main_is_busy = False
            try:
                exchange.send(answer, out)
            except LollmsError as exc:  # it cannot be told
                exchange.send({"type": protocol.ERROR, **pack_error(exc, self._worker.clean)})
        except Disconnected:
            pass  # nobody is there to be answered; the thread that reads ends the process
        finally:
            exchange.end()
            if self._incoming is not None:
                self._incoming.close()  # a thread may still wait for it
            self._worker.requests.pop(exchange.number, None)

    def _do(self, out: list[Buffer]) -> Json:
        """The answer; its payloads are added to ``out``."""
        message, payloads = self._exchange.get()
        if "here" in message:
            check_there(message["here"])
        if message["type"] == protocol.HELLO:
            return self._worker.find(message)
        if message["type"] == protocol.MAKE:
            settings, shared = message["settings"], message["shared"]
            os.environ.update(message.get("variables", {}))
            return self._worker.make(unpack(settings, payloads), unpack(shared, payloads))
        if message["type"] == protocol.BYE:
            self._worker.end()
            return {"type": protocol.RESULT, "value": None}
        binding = self._worker.binding
        if binding is None:
            raise RuntimeError("the binding has not been made")
        positional = unpack(message["positional"], payloads) if "positional" in message else ()
        arguments = unpack(message["arguments"], payloads)
        payloads = ()  # the engine may need the memory
        self.tell = bool(message.get("tell"))
        if (taken := message.get("input")) is not None:
            self._incoming = None if message.get("check") else Incoming(self._exchange)
            arguments[taken] = self._incoming or []
        if message.get("check"):
            check_arguments(binding, message["name"], arguments)
            return {"type": protocol.RESULT, "value": None}
        if message.get("controls"):
            arguments["cancel"] = self._token
            if message.get("progress"):
                arguments["progress"] = self._report
        done = getattr(binding, message["name"])(*positional, **arguments)
        del arguments, positional
        if message.get("stream"):
            return self._stream(done) | self._use(message)
        if not self._worker.shares_files:
            done = without_files(done)
        answer: Json = {"type": protocol.RESULT, "value": pack(done, out), **self._use(message)}
        if message["name"] == "set_settings":
            answer |= self._worker.state()
        return answer

    def _stream(self, stream: Any) -> Json:
        with stream:
            for item in stream:
                out: list[Buffer] = []
                packed = pack(item if self._worker.shares_files else without_files(item), out)
                self._flush()
                self._exchange.wait_for_room()
                self._exchange.send({"type": protocol.ITEM, "value": packed}, out)
        provenance = stream.provenance
        told = None if provenance is None else told_provenance(provenance)
        return {"type": protocol.RESULT, "value": None, "provenance": told}

    def _use(self, message: Json) -> Json:
        return {"memory": memory_of()} if message.get("watch_memory") else {}

    def cancel(self, reason: str) -> None:
        """The host wants it stopped."""
        self._token.cancel(reason)
        self._exchange.wake()
        self._aligner.cancel()

    def begun(self, call: Call) -> None:
        """The call has its options, its lock and its model."""
        self.tell = False
        options = shown(call.options.__dict__) if call.options is not None else {}
        self._exchange.send({"type": protocol.BEGIN, "options": options})

    def warn(self, category: type[Warning], text: str) -> None:
        """Pass on a Python warning."""
        self._exchange.send({"type": protocol.WARNING, **pack_warning(category, self._worker.clean(text))})

    def _report(self, progress: Progress) -> None:
        new_stage = self._reported is None or self._reported[0].stage != progress.stage
        if new_stage:
            self._flush()
        now = time.monotonic()
        self._reported = (progress, False)
        if new_stage or progress.preview is not None or now - self._told >= _PAUSE:
            self._told = now
            self._flush()

    def _flush(self) -> None:
        """Tell the last report, if it has not been told."""
        if self._reported is None or self._reported[1]:
            return
        progress = self._reported[0]
        self._reported = (progress, True)
        out: list[Buffer] = []
        fields = [progress.stage, progress.done, progress.total, progress.unit, progress.preview]
        self._exchange.send({"type": protocol.PROGRESS, "report": pack(fields, out)}, out)


class Relay(hooks.Relay):
    """In the place of the plug-ins, which run in the host: tells it when a call begins."""

    answers = False

    def __init__(self) -> None:
        super().__init__(None)

    def before_call(self, binding: Any, call: Call) -> None:
        """As there."""
        request = CURRENT.get()
        if request is not None and request.tell:
            request.begun(call)

    def _each(self, hook: str, event: dict[str, Any], take: Any = None) -> Iterator[tuple[str, Any]]:
        return iter(())


def pass_on_warnings() -> None:
    """Have the host told of Python's warnings."""
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        request = CURRENT.get()
        if request is None:
            shown(message, category, *args, **kwargs)
        else:
            request.warn(category, str(message))

    warnings.showwarning = show
