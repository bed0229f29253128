"""``lollms serve``: the room, the application on it, and what signals do.

SIGTERM and SIGINT end it gracefully, a second one at once; SIGHUP has the configuration read again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lollms_modalities import ConfigurationError, LollmsError

from lollms_server.commands import opening
from lollms_server.commands.job_acts import acts_of
from lollms_server.commands.output import out, say
from lollms_server.room import plugins
from lollms_server.room.callers import TERMINAL
from lollms_server.room.configuration import Configuration, WyomingSettings
from lollms_server.room.door import is_local
from lollms_server.room.keys import Keys
from lollms_server.room.log import log_to
from lollms_server.room.room import Room
from lollms_server.room.serving import catalogue_of
from lollms_server.room.terminal import Terminal

if TYPE_CHECKING:
    from lollms_server.wyoming.server import Wyoming

_AT_START = ("host", "port", "tls_certificate", "tls_key", "socket", "keys_file", "metrics", "surfaces", "page",
             "wyoming")  # fmt: skip
_LINGERING = 2.0  # seconds that threads get at the end
_log = logging.getLogger(__name__)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal ends it; or with ``--check`` say what would be served."""
    from lollms_server.commands.arguments import configured

    configuration = configured(given)
    _check(configuration)
    if given.open:
        opening.check(configuration.serve)
    if given.check:
        for model in catalogue_of(configuration).served.values():
            out(f"{model.modality}:{model.name}  {model.binding}")
        return 0
    os.environ["LOLLMS_HOPS"] = "1"  # what our bindings ask of other servers they ask for those who ask us
    lines = log_to(sys.stderr)
    try:
        code = asyncio.run(_Server(configuration, lambda: configured(given), opens=given.open).serve())
    finally:
        lines.stop()
    _leave(code)
    return code


def _leave(code: int) -> None:
    """End at once where an engine in this process does not listen: Python would wait for its thread."""
    until = time.monotonic() + _LINGERING
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)


def _check(configuration: Configuration) -> None:
    """What may not be: without a key, an address that others reach; half of what TLS needs."""
    serve = configuration.serve
    if not Keys(serve.keys_path()).all() and not is_local(serve.host) and serve.host != "localhost":
        raise ConfigurationError(
            f"Without any key the server listens to this machine only, and {serve.host!r} is not it.",
            hint="Make a key first: lollms serve key add NAME.",
        )
    if (serve.tls_certificate is None) != (serve.tls_key is None):
        raise ConfigurationError("TLS needs both a certificate and its key.")
    if serve.tls_certificate is not None and serve.tls_key is not None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(serve.tls_certificate, serve.tls_key, lambda: "")  # or it would ask the terminal
        except OSError as exc:  # ssl's own errors are of that kind
            raise ConfigurationError(
                f"The certificate {serve.tls_certificate} and the key {serve.tls_key} cannot be used: "
                f"{exc.strerror or exc}.",
                hint="Both are PEM files, and the key is without a password.",
            ) from exc


class _Server:
    """One server from its start to its end."""

    def __init__(self, configuration: Configuration, read: Callable[[], Configuration], *, opens: bool) -> None:
        self._configuration = configuration
        self._opens = opens
        self._read = read
        self._ending = asyncio.Event()
        self._signals = 0

    async def serve(self) -> int:
        """Until the end; the exit code."""
        from lollms_server.web.app import create_app
        from lollms_server.web.listening import uvicorn_config

        serve = self._configuration.serve
        room = Room.open(self._configuration)
        app = create_app(room)
        wyoming: Wyoming | None = None
        terminal = Terminal(room, serve.socket_path(), acts_of(app.jobs))
        measuring: Callable[[], object] | None = None
        loop = asyncio.get_running_loop()
        try:
            await terminal.open()
            listening = _listen(serve.host, serve.port)
            certificate, key = serve.tls_certificate, serve.tls_key
            server = _uvicorn(uvicorn_config(app, certificate=certificate, key=key))
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._end, server)
            loop.add_signal_handler(signal.SIGHUP, self._reread, room)
            measuring = _measure(room, serve.metrics)
            if serve.wyoming is not None:
                wyoming = await _wyoming(room, serve.wyoming)
            _tell(room, serve.host, listening, tls=serve.tls_key is not None)
            if wyoming is not None:
                _tell_wyoming(wyoming)
            serving = loop.create_task(server.serve([listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            if server.started:
                _notify("READY=1")
                if self._opens:
                    opening.open_page(serve, listening.getsockname()[1])
            ending = loop.create_task(self._ending.wait())
            await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            _notify("STOPPING=1")
            await room.close()
            server.should_exit = True
            await serving
        finally:
            if measuring is not None:
                measuring()
            if wyoming is not None:
                await wyoming.close()
            await terminal.close()
            await room.close(0)
        return 0

    def _end(self, server: Any) -> None:
        self._signals += 1
        if self._signals == 1:
            say("Ending: calls under way get their time. Again to end at once.")
            self._ending.set()
        else:
            server.force_exit = True
            os._exit(130)

    def _reread(self, room: Room) -> None:
        _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            configuration = self._read()
            room.reconfigure(configuration)
        except LollmsError as exc:
            _log.error("The configuration stays as it was: %s", exc)
        else:
            _log.info("The configuration was read again.")
            for name in _AT_START:
                if getattr(configuration.serve, name) != getattr(self._configuration.serve, name):
                    _log.warning("[serve] %s has changed: that counts after a restart.", name)
            for name in ("store", "results"):
                if getattr(configuration.serve.jobs, name) != getattr(self._configuration.serve.jobs, name):
                    _log.warning("[serve.jobs] %s has changed: that counts after a restart.", name)
        _notify("READY=1")


async def _wyoming(room: Room, settings: WyomingSettings) -> Wyoming:
    """Wyoming, listening."""
    from lollms_server.wyoming.server import Wyoming

    wyoming = Wyoming(room, settings)
    try:
        await wyoming.open(_listen)
    except BaseException:
        await wyoming.close()
        raise
    return wyoming


def _uvicorn(config: Any) -> Any:
    """A server of uvicorn's that leaves the signals to us."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise ConfigurationError(
            f"{host!r} is no address that can be listened at: {exc}.", hint="Give another one with --host."
        ) from exc
    family, _, _, _, address = found[0]
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(1024)
    except OSError as exc:
        sock.close()
        raise ConfigurationError(
            f"{host}, port {port}, cannot be listened at: {exc.strerror}.",
            hint="Give another one with --port or --host.",
        ) from exc
    return sock


def _measure(room: Room, address: str | None) -> Callable[[], object] | None:
    """Answer /metrics at an address of its own, in threads of its own; gives what ends that."""
    if address is None:
        return None
    from prometheus_client import start_http_server

    host, _, port = address.rpartition(":")
    try:
        server, _ = start_http_server(int(port), host.strip("[]"), room.metrics.registry)
    except (OSError, ValueError, OverflowError) as exc:
        raise ConfigurationError(
            f"[serve] metrics = {address!r}: that cannot be listened at: {exc}.", hint="Write it as HOST:PORT."
        ) from exc
    return server.shutdown


def _tell(room: Room, host: str, listening: socket.socket, *, tls: bool) -> None:
    """Say where it is, what is served, who may come."""
    shown = f"[{host}]" if ":" in host else host
    say(f"Serving at {'https' if tls else 'http'}://{shown}:{listening.getsockname()[1]}")
    for model in room.models(TERMINAL):
        say(f"  {model.modality}:{model.name}")
    keys = Keys(room.configuration.serve.keys_path()).all()
    say(f"Keys: {', '.join(key.name for key in keys)}" if keys else "No keys: whoever is on this machine may ask.")
    served = {model.name for model in room.models(TERMINAL)}
    for key in keys:
        if missing := sorted({*(key.models or ())} - served):
            say(f"The key {key.name} is for {', '.join(missing)}, which is not served.")
    for name in plugins.installed():
        say(f"Plug-in: {name}")


def _tell_wyoming(wyoming: Wyoming) -> None:
    shown = f"[{wyoming.host}]" if ":" in wyoming.host else wyoming.host
    for what, kind in (("transcription", "stt"), ("speech", "tts")):
        say(f"Wyoming at tcp://{shown}:{wyoming.ports[kind]} for {what}")


def _notify(state: str) -> None:
    """Tell systemd, where it has started us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
