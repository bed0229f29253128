"""The worker: ``python -m lollms_modalities.workers.worker FD`` makes one binding and runs what the host asks of it.

The connection is the inherited socket FD; standard output and error belong to the engine. The main thread runs one
request at a time, as engines know it from programs that call them in place; what else comes runs in threads of its own.
Who reads, ``reading`` says.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn

from lollms_modalities import hooks
from lollms_modalities.calls.call import Call
from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.calls.progress import Progress
from lollms_modalities.calls.threads import start
from lollms_modalities.contract.spoken import ELSEWHERE
from lollms_modalities.contract.verbs import check_arguments
from lollms_modalities.errors import LollmsError
from lollms_modalities.settings.shown import shown
from lollms_modalities.workers import aligning, protocol
from lollms_modalities.workers.carrying import without_files
from lollms_modalities.workers.channel import Channel, Connection
from lollms_modalities.workers.exchange import Disconnected, Exchange
from lollms_modalities.workers.feeding import Incoming
from lollms_modalities.workers.memory import memory_of
from lollms_modalities.workers.paths_here import check_there
from lollms_modalities.workers.protocol import Buffer, Json
from lollms_modalities.workers.reading import Inbox
from lollms_modalities.workers.remote_errors import pack_error, pack_warning
from lollms_modalities.workers.values import pack, told_provenance, unpack

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding

_PAUSE = 0.005  # seconds between two reports of progress, which may be thousands
_request: ContextVar[_Request | None] = ContextVar("lollms_request", default=None)


class _Request:
    """One exchange that the host began."""

    def __init__(self, worker: Worker, exchange: Exchange) -> None:
        self._worker = worker
        self._exchange = exchange
        self._token = CancelToken()
        self._reported: tuple[Progress, bool] | None = None
        self._told = 0.0
        self._incoming: Incoming | None = None
        self._aligner = aligning.HostsAligner(exchange)
        self.tell = False

    def run(self) -> None:
        """Take the message, do what it says, answer."""
        exchange = self._exchange
        _request.set(self)
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
        check_there(message.get("here", {}))
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
        positional = unpack(message.get("positional", []), payloads)
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
        answer = {"type": protocol.RESULT, "value": pack(done, out)} | self._use(message)
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


class _Relay(hooks.Relay):
    """In the place of the plug-ins, which run in the host: tells it when a call begins."""

    answers = False

    def __init__(self) -> None:
        super().__init__(None)

    def _each(self, hook: str, event: dict[str, Any], take: Any = None) -> Iterator[tuple[str, Any]]:
        request = _request.get()
        if hook == "lollms_before_call" and request is not None and request.tell:
            request.begun(event["call"])
        return iter(())


class Worker:
    """What the process holds: one binding and the requests under way."""

    def __init__(self, sock: Connection) -> None:
        self.binding: LollmsBinding | None = None
        self.shares_files = True
        self.host_minor = 0
        self._class: type[LollmsBinding] | None = None
        self._name = ""
        self.requests: dict[int, _Request] = {}
        self._channel = Channel(sock, self._opened, self._cancelled, _end_at_once)
        self._main: Inbox[_Request | None] = Inbox(self._channel.reading)
        self._main_is_busy = False
        self._cancels: SimpleQueue[tuple[_Request, str]] = SimpleQueue()

    def serve(self) -> None:
        """Until the host says that it is enough, or is gone."""
        self._channel.begin()
        threading.Thread(target=self._cancel, name="lollms-cancel", daemon=True).start()
        while (request := self._main.get()) is not None:
            request.run()
            del request
            self._main_is_busy = False

    def find(self, hello: Json) -> Json:
        """Find the class of the binding that the host wants."""
        from importlib import import_module

        from lollms_modalities.version import __version__

        ready = {"type": protocol.READY, "protocol": protocol.VERSION, "minor": protocol.MINOR, "core": __version__}
        if hello["protocol"] != protocol.VERSION:
            return ready  # which tells the host all that it can understand
        self.shares_files = hello.get("shares_files", True)
        self.host_minor = self._channel.minor = min(protocol.MINOR, hello.get("minor", 0))
        modality = hello["modality"]
        module = import_module("lollms_modalities.finding.managers")
        manager = getattr(module, f"Lollms{modality.upper()}BindingManager")(hello["directory"])
        which = hello["name"], hello.get("distribution")
        self._class = manager.load_class(*which)
        ref = manager.find(*which)
        self._name = ref.name
        return ready | {
            "python": sys.version.split()[0],
            "name": ref.name,
            "distribution": ref.distribution,
            "version": ref.version,
            "description": _told_to(self.host_minor, self._class.describe()),
        }

    def make(self, settings: Json, shared: Json) -> Json:
        """Make the binding."""
        assert self._class is not None
        self.binding = self._class(**self._class.with_shared(shared, settings))
        self.binding._binding_name = self._name
        return {"type": protocol.READY, **self.state()}

    def state(self) -> Json:
        """What the host keeps a copy of."""
        from lollms_modalities.settings.forms import dump_public

        assert self.binding is not None
        return {
            "settings": dump_public(self.binding.settings),
            "capabilities": self.binding.capabilities.to_json(),
        }

    def clean(self, text: str) -> str:
        """``text`` without the binding's secrets."""
        return text if self.binding is None else self.binding._without_secrets(text)

    def end(self) -> None:
        """Close the binding; the process ends when this has been answered."""
        try:
            if self.binding is not None:
                self.binding.close()
        finally:
            self._main.put(None)

    def _opened(self, exchange: Exchange) -> None:
        request = self.requests[exchange.number] = _Request(self, exchange)
        if not self._main_is_busy:
            self._main_is_busy = True
            self._main.deliver(request)
        else:
            start(request.run)

    def _cancelled(self, message: Json) -> None:
        request = self.requests.get(message["id"])
        if request is not None:
            self._cancels.put((request, str(message.get("reason", ""))))

    def _cancel(self) -> None:
        # In a thread of its own, since what is done to stop an engine may take long.
        while True:
            request, reason = self._cancels.get()
            try:
                request.cancel(reason)
            except Exception:
                logging.getLogger(__name__).exception("stopping a call failed")
            del request


def _end_at_once() -> None:
    """The host is gone. Whatever the engine is doing, and whatever processes it has begun, end now."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _told_to(minor: int, description: Json) -> Json:
    """What a host of that minor version can make use of: an older one sends no streams."""
    verbs = {name: verb for name, verb in description["verbs"].items() if minor >= 1 or verb["content"] != "frames"}
    return {**description, "verbs": verbs}


def _pass_on_warnings() -> None:
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        request = _request.get()
        if request is None:
            shown(message, category, *args, **kwargs)
        else:
            request.warn(category, str(message))

    warnings.showwarning = show


def main() -> None:
    """Serve the host at the other end of the socket whose descriptor is the first argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    serve(sock)


def serve(sock: Connection) -> NoReturn:
    """Serve the host at the other end of a connection; then this process ends."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a host that ignores it would have its engines' programs do so
    hooks.replace(_Relay())
    # Which distributions cannot be read has been told in the host.
    logging.getLogger("lollms_modalities.entry_points").addHandler(logging.NullHandler())
    _pass_on_warnings()
    worker = Worker(sock)
    worker.serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # at once: nothing is left to be said, and engines like to crash while they are taken apart


if __name__ == "__main__":
    main()
