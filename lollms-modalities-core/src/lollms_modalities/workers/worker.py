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
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn

from lollms_modalities import hooks
from lollms_modalities.calls.threads import start
from lollms_modalities.workers import protocol
from lollms_modalities.workers.answering import Relay, Request, pass_on_warnings
from lollms_modalities.workers.channel import Channel, Connection
from lollms_modalities.workers.exchange import Exchange
from lollms_modalities.workers.protocol import Json
from lollms_modalities.workers.reading import Inbox

if TYPE_CHECKING:
    from lollms_modalities.contract.binding import LollmsBinding


class Worker:
    """What the process holds: one binding and the requests under way."""

    def __init__(self, sock: Connection) -> None:
        self.binding: LollmsBinding | None = None
        self.shares_files = True
        self.host_minor = 0
        self._class: type[LollmsBinding] | None = None
        self._name = ""
        self.requests: dict[int, Request] = {}
        self._channel = Channel(sock, self._opened, self._cancelled, _end_at_once)
        self._main: Inbox[Request | None] = Inbox(self._channel.reading)
        self.main_is_busy = False
        self._cancels: SimpleQueue[tuple[Request, str]] = SimpleQueue()

    def serve(self) -> None:
        """Until the host says that it is enough, or is gone."""
        self._channel.begin()
        threading.Thread(target=self._cancel, name="lollms-cancel", daemon=True).start()
        while (request := self._main.get()) is not None:
            request.run()
            if request.in_main:
                self.main_is_busy = False
            del request

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
        request = self.requests[exchange.number] = Request(self, exchange)
        if not self.main_is_busy:
            self.main_is_busy = request.in_main = True
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


def main() -> None:
    """Serve the host at the other end of the socket whose descriptor is the first argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    serve(sock)


def serve(sock: Connection) -> NoReturn:
    """Serve the host at the other end of a connection; then this process ends."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a host that ignores it would have its engines' programs do so
    hooks.replace(Relay())
    # Which distributions cannot be read has been told in the host.
    logging.getLogger("lollms_modalities.entry_points").addHandler(logging.NullHandler())
    pass_on_warnings()
    worker = Worker(sock)
    worker.serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # at once: nothing is left to be said, and engines like to crash while they are taken apart


if __name__ == "__main__":
    main()
