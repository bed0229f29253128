"""A server on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parts(self) -> dict[str, Any]:
        """The parts of a multipart body: name to bytes, and ``name.filename``."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found: dict[str, Any] = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + self.body).iter_parts():  # type: ignore[attr-defined]
            name = part.get_param("name", header="Content-Disposition")
            found[name] = part.get_payload(decode=True)
            found[f"{name}.filename"] = part.get_filename()
        return found


class Reply:
    """What is answered.

    Args:
        body: bytes, or a value for JSON.
        drip: seconds between two bytes of the body.
        cut: only so many bytes of the body are sent, then the connection is reset, which may lose some of them.
        short: only so many bytes of the body are sent, then the connection is closed.
        length: what Content-Length says, where it lies; -1 for none.
        endless: the body never ends.
        wait: seconds before anything is answered.
        hangs_up: the connection is closed a moment after, without a word of it: as soon as the next request is on it.
    """

    def __init__(
        self, body: Any = b"", status: int = 200, headers: dict[str, str] | None = None, *, drip: float = 0,
        cut: int | None = None, length: int | None = None, endless: bool = False, wait: float = 0,
        hangs_up: bool = False, short: int | None = None,
    ) -> None:  # fmt: skip
        is_bytes = isinstance(body, bytes)
        self.body: bytes = body if is_bytes else json.dumps(body).encode()
        self.status = status
        self.headers = {
            "Content-Type": "application/octet-stream" if is_bytes else "application/json",
            **(headers or {}),
        }
        self.drip, self.cut, self.length, self.endless, self.wait = drip, cut, length, endless, wait
        self.hangs_up, self.short = hangs_up, short


Route = Callable[[Request], Reply] | Reply


class Server:
    """Routes by ``"POST /path"``; ``"*"`` for all others. ``asked`` has every request."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes = dict(routes)
        self.asked: list[Request] = []
        self.closing = threading.Event()
        self.closed_early = threading.Event()
        self.connections = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers.items()), body)
                server.asked.append(request)
                key = f"{self.command} {self.path.partition('?')[0]}"
                route = server.routes.get(key, server.routes.get("*", Reply({"detail": "Not Found"}, 404)))
                reply = route(request) if callable(route) else route
                with suppress(BrokenPipeError, ConnectionResetError):
                    server.answer(self, reply)

            do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = handle_one

            def log_message(self, *args: Any) -> None:
                return None

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                return None

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        """Send a reply, as ugly as it is."""
        if reply.wait and self._sees_the_end(handler, reply.wait):
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        length = len(reply.body) if reply.length is None else reply.length
        if length >= 0 and not reply.endless:
            handler.send_header("Content-Length", str(length))
        else:
            handler.send_header("Connection", "close")
            handler.close_connection = True
        handler.end_headers()
        if reply.endless:
            while not self.closing.is_set():
                handler.wfile.write(reply.body or b"x" * 65536)
        elif reply.drip:
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                if self._sees_the_end(handler, reply.drip):
                    return
        else:
            handler.wfile.write(reply.body[: reply.cut if reply.short is None else reply.short])
            handler.close_connection |= reply.short is not None
        if reply.hangs_up:
            # Real ones do it 12 ms later; so it hits a client that uses the connection again however slow it is.
            handler.connection.recv(1, socket.MSG_PEEK)
            handler.close_connection = True
        if reply.cut is not None or reply.length is not None:
            # A reset, not an orderly end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            handler.close_connection = True
            if reply.cut is not None:
                handler.connection.close()

    def _sees_the_end(self, handler: BaseHTTPRequestHandler, seconds: float) -> bool:
        """Wait; whether the client closed its end meanwhile."""
        handler.connection.settimeout(0.02)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until and not self.closing.is_set():
                with suppress(TimeoutError):
                    if not handler.connection.recv(1, socket.MSG_PEEK):
                        self.closed_early.set()
                        return True
                    time.sleep(0.02)
        except OSError:
            self.closed_early.set()
            return True
        finally:
            with suppress(OSError):
                handler.connection.settimeout(None)
        return False

    def start(self) -> None:
        """Serve, in a thread."""
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """End."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def serving(routes: dict[str, Route]) -> Iterator[Server]:
    """A server for a ``with`` statement."""
    server = Server(routes)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Silent:
    """A listener that says ``answer`` to each connection's first bytes, and nothing more; ``address`` is host:port.

    Attributes:
        heard: set when a client has been answered.
        ended: set when a client has ended its connection.
    """

    def __init__(self, answer: bytes = b"") -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard, self.ended = threading.Event(), threading.Event()

    def run(self) -> None:
        """Serve, until the listener is shut down."""
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.recv(1 << 16)
            sock.sendall(self._answer)
            self.heard.set()
            while sock.recv(1 << 16):
                pass
        self.ended.set()

    def stop(self) -> None:
        """End."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def silent(answer: bytes = b"") -> Iterator[Silent]:
    """A silent listener for a ``with`` statement."""
    server = Silent(answer)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        yield server
    finally:
        server.stop()
