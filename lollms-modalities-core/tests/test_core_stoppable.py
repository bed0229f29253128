"""What asks servers ends when its call does, whatever it is waiting for; and no deadline waits for another."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import CallCancelled, CallTimeout, CancelToken, LollmsTTSBinding, ServiceError
from lollms_modalities.calls.call import Call
from lollms_modalities.calls.scheduler import Scheduler
from lollms_modalities.kit import sockets
from lollms_modalities.kit.downloading import download, read_url
from lollms_modalities.kit.http import HttpClient
from loopback import Reply, Silent, serving, silent

Spawn = Callable[[Callable[[], Any]], Any]


class Nothing(LollmsTTSBinding):
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any: ...

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def stoppable(token: CancelToken | None = None, timeout: float | None = None) -> Call:
    call = Call("generate_audio", Nothing())
    call.control(None, token, timeout)
    return call


def within(call: Call, fn: Callable[[], Any]) -> Any:
    """Run ``fn`` inside a call, as a binding's verb does."""
    try:
        with call.attach():
            return fn()
    finally:
        call.finish()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# --- deadlines ------------------------------------------------------------------------------------------------------


def test_what_blocks_at_its_time_delays_no_other() -> None:
    scheduler, go, come = Scheduler("test"), threading.Event(), threading.Event()
    scheduler.at(time.monotonic(), go.wait)
    scheduler.at(time.monotonic(), come.set)
    try:
        assert come.wait(10)
    finally:
        go.set()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_ends_a_thread_ends_no_deadlines(error: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    scheduler, done = Scheduler("test"), threading.Event()

    def fail() -> None:
        raise error

    scheduler.at(time.monotonic(), fail)
    scheduler.at(time.monotonic(), done.set)
    assert done.wait(10)


def test_a_callback_that_blocks_delays_no_other_call() -> None:
    go = threading.Event()
    blocked, innocent = stoppable(timeout=0.05), stoppable(timeout=0.1)
    blocked.on_cancel(go.wait)
    woken = threading.Event()
    innocent.on_cancel(woken.set)
    try:
        assert woken.wait(10)
        with pytest.raises(CallTimeout):
            innocent.check()
    finally:
        go.set()
        blocked.finish()
        innocent.finish()


# --- what a request can wait for ------------------------------------------------------------------------------------

_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000)


@contextmanager
def _listener(url: str, answer: bytes = b"") -> Iterator[tuple[str, threading.Event]]:
    with silent(answer) as server:
        yield url.format(server.address), server.heard


@contextmanager
def _by_proxy(monkeypatch: pytest.MonkeyPatch, url: str, answer: bytes) -> Iterator[tuple[str, threading.Event]]:
    with silent(answer) as server:
        monkeypatch.setenv("http_proxy", f"http://{server.address}")
        monkeypatch.setenv("https_proxy", f"http://{server.address}")
        yield url, server.heard


@contextmanager
def _full() -> Iterator[tuple[str, threading.Event]]:
    """A listener whose queue is full: connecting hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock:
        fill = [socket.socket() for _ in range(8)]
        for other in fill:
            other.setblocking(False)
            other.connect_ex(sock.getsockname())
        waiting = threading.Event()
        threading.Timer(0.2, waiting.set).start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/x", waiting
        for other in fill:
            other.close()


@contextmanager
def _no_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, threading.Event]]:
    """A resolver that does not answer."""
    real, asked, go = socket.getaddrinfo, threading.Event(), threading.Event()

    def slow(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "silent.invalid" and not kwargs.get("flags"):
            asked.set()
            go.wait()
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield "http://silent.invalid/x", asked
    go.set()


@pytest.fixture(params=["headers", "body", "tls", "proxy", "proxy-body", "tunnel", "tls-in-tunnel", "connect", "name"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, threading.Event]]:
    """The address of something that never comes, and an event for when it is being waited for."""
    ways: dict[str, Callable[[], AbstractContextManager[tuple[str, threading.Event]]]] = {
        "headers": lambda: _listener("http://{}/x"),
        "body": lambda: _listener("http://{}/x", _BODY),
        "tls": lambda: _listener("https://{}/x"),
        "proxy": lambda: _by_proxy(monkeypatch, "http://far.invalid/x", b""),
        "proxy-body": lambda: _by_proxy(monkeypatch, "http://far.invalid/x", _BODY),
        "tunnel": lambda: _by_proxy(monkeypatch, "https://far.invalid/x", b""),
        "tls-in-tunnel": lambda: _by_proxy(monkeypatch, "https://far.invalid/x", b"HTTP/1.1 200 OK\r\n\r\n"),
        "connect": _full,
        "name": lambda: _no_address(monkeypatch),
    }
    with ways[request.param]() as found:
        yield found


def _download(url: str, folder: Path) -> None:
    download(url, folder / "x")


def _read_url(url: str, folder: Path) -> None:
    read_url(url)


def _client(url: str, folder: Path) -> None:
    base, _, path = url.rpartition("/")
    http = HttpClient(base, retries=0, connect_timeout=40, read_timeout=40)
    try:
        http.request("GET", path)
    finally:
        http.close()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
@pytest.mark.parametrize("ask", [_download, _read_url, _client])
def test_a_request_ends_with_its_call(
    waiting: tuple[str, threading.Event], ask: Callable[[str, Path], None], how: str, background: Spawn, tmp_path: Path
) -> None:
    url, is_waiting = waiting
    token = CancelToken()
    call = stoppable(token, 0.15 if how == "timeout" else None)
    running = background(lambda: within(call, lambda: ask(url, tmp_path)))
    if how == "cancel":
        assert is_waiting.wait(10)
        # In a thread that fails when it does not end: what closes a connection may wait for who reads from it.
        background(token.cancel).result(10)
    with pytest.raises(CallCancelled if how == "cancel" else CallTimeout):
        running.result(10)
    assert not list(tmp_path.iterdir())


def test_the_connection_is_ended(background: Spawn, tmp_path: Path) -> None:
    server: Silent
    for ask in (_download, _read_url, _client):
        with silent(_BODY) as server:
            token = CancelToken()
            running = background(
                lambda token=token, ask=ask, server=server: within(  # type: ignore[misc]
                    stoppable(token), lambda: ask(f"http://{server.address}/x", tmp_path)
                )
            )
            assert server.heard.wait(10)
            token.cancel()
            assert server.ended.wait(10)
            with pytest.raises(CallCancelled):
                running.result()


def test_a_stopped_call_asks_nobody(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with serving({"*": Reply(b"x")}) as server:
        for ask in (_download, _read_url, _client):
            with pytest.raises(CallCancelled):
                within(stoppable(token), lambda ask=ask: ask(f"{server.url}/x", tmp_path))  # type: ignore[misc]
        assert server.connections == 0


def test_headers_that_trickle_have_an_end(background: Spawn) -> None:
    """Each byte comes before the read's own time is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                try:
                    while True:
                        sock.sendall(b"x")
                        time.sleep(0.02)
                except OSError:
                    return

        serving_it = background(trickle)
        http = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", retries=0, total_timeout=0.3)
        asking = background(lambda: http.request("GET", "x"))
        with pytest.raises(ServiceError, match=r"took longer than 0\.3 s"):
            asking.result(10)
        serving_it.result()
        http.close()


def test_downloads_by_proxy_and_redirects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving({"GET http://far.invalid/a": Reply(b"through the proxy")}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        download("http://far.invalid/a", tmp_path / "a", size=17)
        assert (tmp_path / "a").read_bytes() == b"through the proxy" == read_url("http://far.invalid/a")
    monkeypatch.delenv("http_proxy")
    with serving({"GET /a": Reply(b"", 302, {"Location": "/b"}), "GET /b": Reply(b"here")}) as server:
        assert read_url(f"{server.url}/a") == b"here"
        server.routes["GET /a"] = Reply(b"", 302, {"Location": "file:///etc/hostname"})
        with pytest.raises(ServiceError):
            read_url(f"{server.url}/a")


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://[::1/x", "reached"), ("http://" + "a" * 70 + ".x/x", "reached"), ("http://no-such-host.invalid/", "reached"),
     ("ftp://127.0.0.1/x", "no http address"), ("http://127.0.0.1:99999/x", "reached"), ("http:///x", "reached")],
)  # fmt: skip
def test_addresses_that_lead_nowhere(url: str, said: str, tmp_path: Path) -> None:
    for ask in (_download, _read_url):
        with pytest.raises(ServiceError, match=said):
            ask(url, tmp_path)


def test_a_name_with_several_addresses_is_tried_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as refused:
        closed = refused.getsockname()
    with serving({"*": Reply(b"here")}) as server:
        port = int(server.url.rpartition(":")[2])
        first = (socket.AF_INET, socket.SOCK_STREAM, 6, "", closed)
        second = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(sockets, "_addresses", lambda *_: [first, second])
        assert read_url(f"http://two.invalid:{port}/x") == b"here"
