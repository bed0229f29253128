"""The HTTP client against what real servers were seen to do: closing without a word, failing, cutting what is packed."""

from __future__ import annotations

import gzip
import socket
import time
from typing import Any

import pytest
from lollms_modalities import ServiceError, ServiceResponseError
from lollms_modalities.kit.downloading import read_url
from lollms_modalities.kit.http import HttpClient, Upload
from lollms_modalities.kit.http.reading import bounded
from loopback import Reply, Server, serving


def client(server: Server, **kwargs: Any) -> HttpClient:
    return HttpClient(server.url, **{"retries": 0, **kwargs})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lollms_modalities.kit.http.client.random.uniform", lambda low, high: 0.01)


# --- connections that are kept open ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_connection_that_got_a_5xx_is_not_used_again(status: int) -> None:
    failing = Reply(b"Internal Server Error", status, {"Content-Type": "text/plain"}, hangs_up=True)
    with serving({"GET /bad": failing, "POST /bad": failing, "*": Reply({"ok": 1})}) as server:
        http = client(server)
        for _ in range(12):
            for method in ("GET", "POST"):
                with pytest.raises(ServiceError, match=f"answered {status}: Internal"):
                    http.request(method, "bad")
                assert http.post_json("good", {}) == {"ok": 1}
        http.close()


def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again() -> None:
    closing = Reply({"ok": 1})
    with serving({"*": closing}) as server:
        closing.length = len(closing.body)  # which resets the connection when all was said
        http = client(server)
        for number in range(1, 6):
            assert http.post_json("x", {}) == {"ok": 1}
            assert server.connections == number
            pool = next(iter(http._transport._session.adapters["http://"].poolmanager.pools._container.values()))  # type: ignore[union-attr]
            idle = pool.pool.queue[-1].sock
            until = time.monotonic() + 10
            while not _has_ended(idle):
                assert time.monotonic() < until
        http.close()


def _has_ended(sock: socket.socket) -> bool:
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_4xx_is_no_reason_to_connect_anew() -> None:
    with serving({"*": Reply({"error": "no"}, 404)}) as server:
        http = client(server)
        for _ in range(3):
            with pytest.raises(ServiceError):
                http.get_json("x")
        assert server.connections == 1
        http.close()


# --- what is asked again --------------------------------------------------------------------------------------------

_AFTER = {"Retry-After": "0"}


@pytest.mark.parametrize(
    ("method", "status", "headers", "times"),
    [
        ("POST", 500, {}, 1), ("POST", 500, _AFTER, 1), ("POST", 502, {}, 1), ("POST", 504, {}, 1), ("POST", 529, {}, 1),
        ("POST", 409, {}, 1), ("POST", 503, {}, 1), ("POST", 503, _AFTER, 3), ("POST", 429, {}, 3), ("POST", 408, {}, 3),
        ("POST", 429, _AFTER, 3), ("GET", 500, {}, 3), ("GET", 503, {}, 3), ("GET", 504, {}, 3), ("GET", 404, {}, 1),
        ("DELETE", 500, {}, 1), ("PUT", 502, {}, 1),
    ],
)  # fmt: skip
def test_what_is_asked_again(method: str, status: int, headers: dict[str, str], times: int) -> None:
    with serving({"*": Reply({"error": "x"}, status, headers)}) as server:
        http = client(server, retries=2)
        with pytest.raises(ServiceError) as caught:
            http.request(method, "x")
        assert (len(server.asked), caught.value.status) == (times, status)
        http.close()


def test_a_body_that_began_to_go_out_is_not_sent_again() -> None:
    """The server reads the headers, a little of the body, and resets the connection."""
    taken: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def take() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    taken.append(len(sock.recv(100_000)))
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

        threading.Thread(target=take, daemon=True).start()
        http = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", retries=3)
        for request in ({"json": {"n": 1}}, {"files": {"f": Upload(bytes(5_000_000), "f")}}, {}):
            before = len(taken)
            with pytest.raises(ServiceError, match="broke off") as caught:
                http.request("POST", "x", **request)
            assert (len(taken) - before, caught.value.retryable) == (1, True)
        listener.shutdown(socket.SHUT_RDWR)
        http.close()


def test_what_never_went_out_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first connection breaks between the headers and the body."""
    from lollms_modalities.kit.http.connection import _Stoppable

    with serving({"*": lambda request: Reply({"got": request.json})}) as server:
        http = client(server, retries=1)
        real, broken = _Stoppable.endheaders, list[int]()

        def end(self: Any, *args: Any, **kwargs: Any) -> None:
            if not broken:
                broken.append(1)
                raise ConnectionResetError("gone")
            real(self, *args, **kwargs)

        monkeypatch.setattr(_Stoppable, "endheaders", end)
        assert http.post_json("x", {"n": 1}) == {"got": {"n": 1}}
        assert (broken, len(server.asked)) == ([1], 1)
        http.close()


def test_a_proxy_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving({"*": Reply(b"no", 503)}) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        http = HttpClient("https://far.invalid", retries=2)
        with pytest.raises(ServiceError, match=r"far\.invalid.*503"):
            http.post_json("x", {})
        assert [r.method for r in proxy.asked] == ["CONNECT"] * 3
        http.close()


# --- what comes packed ----------------------------------------------------------------------------------------------

_PACKED = gzip.compress(b"a" * 1000 + b"b" * 1000)


@pytest.mark.parametrize("length", [1, 5, 10, 15, len(_PACKED) - 8, len(_PACKED) - 1])
def test_a_gzip_that_ends_early_is_not_taken_as_whole(length: int) -> None:
    with serving({"*": Reply(_PACKED[:length], headers={"Content-Encoding": "gzip"})}) as server:
        http = client(server)
        with pytest.raises(ServiceResponseError, match="ends early") as caught:
            http.request("GET", "x")
        assert caught.value.retryable
        http.close()


def test_a_gzip_of_several_members_is_whole() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two ") + gzip.compress(b"three")
    for size in (1, 7, 1000):
        pieces = (packed[i : i + size] for i in range(0, len(packed), size))
        assert bounded(pieces, "gzip", 100) == b"one two three"
    with pytest.raises(ServiceResponseError, match="ends early"):
        bounded(iter([packed[:-3]]), "gzip", 100)
    assert bounded(iter([packed + b"\0\0"]), "gzip", 100) == b"one two three"
    assert bounded(iter([]), "gzip", 100) == b""
    with pytest.raises(ServiceResponseError, match="larger than 10 bytes"):
        bounded(iter([packed]), "gzip", 10)


# --- where it points to ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["http://[::1", "http://127.0.0.1:99999/", "//[x]/", "http://[1.2.3.4]/"])
def test_addresses_of_answers_that_are_none(location: str) -> None:
    with serving({"*": Reply(b"", 302, {"Location": location})}) as server:
        http = client(server)
        for ask in (lambda: http.get_json("x"), lambda: http.post_json("x", {})):
            with pytest.raises(ServiceResponseError, match=r"which is no address|another place"):
                ask()
        if "://" in location:
            for ask in (lambda: http.get_json(location), lambda: http.fetch(location, hosts=(), max_bytes=9)):
                with pytest.raises(ServiceResponseError, match=r"which is no address|another place|not asked"):
                    ask()
        http.close()


def test_a_redirect_whose_body_has_no_end() -> None:
    with serving({"*": Reply(b"", 302, {"Location": "/y"}, endless=True)}) as server:
        http = client(server)
        with pytest.raises(ServiceResponseError, match="larger than 1000000 bytes"):
            http.request("GET", "x", max_bytes=1_000_000)
        http.close()


def test_a_document_that_is_cut_is_not_taken_as_whole() -> None:
    with serving({"*": Reply(b"0123456789", length=20)}) as server:
        with pytest.raises(ServiceResponseError, match="10 bytes are missing") as caught:
            read_url(f"{server.url}/x")
        assert caught.value.retryable
        with pytest.raises(ServiceResponseError, match="larger than 5 bytes"):
            read_url(f"{server.url}/x", 5)
        server.routes["*"] = Reply(b"0123456789")
        assert read_url(f"{server.url}/x", 10) == b"0123456789"
