"""The HTTP client against a server on loopback that is slow, lying, endless, broken and hostile."""

from __future__ import annotations

import gzip
import io
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import (
    CallCancelled,
    CallTimeout,
    LollmsTTSBinding,
    ServiceAuthError,
    ServiceError,
    ServiceRateLimitError,
    ServiceResponseError,
    SettingsError,
)
from lollms_modalities.calls.call import Call
from lollms_modalities.kit.http import HttpClient, Upload, clean_address
from lollms_modalities.kit.http.reading import retry_after
from loopback import Reply, Request, serving

Spawn = Callable[[Callable[[], Any]], Any]
KEY = "sesame-12345"


def client(url: str, **kwargs: Any) -> HttpClient:
    return HttpClient(url, headers={"Authorization": f"Bearer {KEY}"}, secrets=(KEY,), **{"retries": 0, **kwargs})


def within(call: Call, fn: Callable[[], Any]) -> Any:
    """Run ``fn`` inside a call, as a binding's verb does."""
    with call.attach():
        return fn()


@pytest.fixture
def call() -> Call:
    class Any_(LollmsTTSBinding):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any: ...

        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

    return Call("generate_audio", Any_())


def test_connections_are_used_again_and_headers_sent() -> None:
    with serving({"POST /x": lambda request: Reply({"got": request.json})}) as server:
        http = client(server.url)
        for n in range(5):
            assert http.post_json("/x", {"n": n}) == {"got": {"n": n}}
        assert server.connections == 1
        assert {r.headers["Authorization"] for r in server.asked} == {f"Bearer {KEY}"}
        http.close()


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (Reply({"error": {"message": "no such size", "code": "bad"}}, 400), ServiceError, "answered 400: no such size"),
        (Reply({"detail": [{"loc": ["body", "n"], "msg": "wrong", "input": "x" * 9999}]}, 422), ServiceError, "body.n: wrong"),
        (Reply({"detail": "Not accessible without id"}, 400), ServiceError, "Not accessible without id"),
        (Reply({"error": "plain"}, 404), ServiceError, "answered 404: plain"),
        (Reply(b"Internal Server Error", 500, {"Content-Type": "text/plain"}), ServiceError, "Internal Server Error"),
        (Reply({"detail": "no"}, 401), ServiceAuthError, "answered 401: no"),
        (Reply({"detail": "no"}, 403), ServiceAuthError, "answered 403"),
        (Reply({"error": {"message": "slow down"}}, 429, {"Retry-After": "7"}), ServiceRateLimitError, "slow down"),
        (Reply({"status": False, "error": "Code execution is blocked"}), ServiceResponseError, "200 and says that it failed: Code"),
        (Reply({"url": None, "error": "No TTS service is on"}), ServiceResponseError, "No TTS service is on"),
        (Reply(b"<!doctype html><title>Hi</title>", 200, {"Content-Type": "text/html"}), ServiceResponseError, "web page.*Hi"),
        (Reply(b"<html>", 200, {"Content-Type": "application/json"}), ServiceResponseError, "web page"),
        (Reply(b"{nonsense", 200, {"Content-Type": "application/json"}), ServiceResponseError, "where JSON is due"),
        (Reply(b""), ServiceResponseError, "where JSON is due"),
        (Reply(b"x" * 100, cut=50), ServiceError, "broke off"),
        (Reply(b"{}", length=100), ServiceError, "broke off|did not answer"),
        (Reply(b"abc", headers={"Content-Encoding": "br"}), ServiceResponseError, "encoding 'br'"),
        (Reply(b"abc", headers={"Content-Encoding": "gzip"}), ServiceResponseError, "compression is damaged"),
        (Reply(f"the key {KEY} is wrong".encode(), 400, {"Content-Type": "text/plain"}), ServiceError, r"the key \*{10} is"),
    ],
)  # fmt: skip
def test_failures_are_typed_and_say_what_was_said(reply: Reply, error: type[ServiceError], said: str) -> None:
    with serving({"*": reply}) as server:
        http = client(server.url, read_timeout=1.0)
        with pytest.raises(error, match=said) as caught:
            http.post_json("/x", {})
        assert type(caught.value) is error
        assert KEY not in str(caught.value) + repr(vars(caught.value))
        assert len(str(caught.value)) < 900
        http.close()


@pytest.mark.parametrize("far", [1e7, 1e10, 1e300, float("inf")])
def test_a_timeout_may_be_as_long_as_a_number(far: float) -> None:
    with serving({"*": Reply({"ok": 1})}) as server:
        http = client(server.url, read_timeout=far, connect_timeout=far, total_timeout=far)
        assert http.post_json("/x", {}) == {"ok": 1}
        http.close()


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ServiceError, match=rf"at http://127.0.0.1:{port} cannot be reached.*refused") as caught:
        client(f"http://127.0.0.1:{port}").get_json("/x")
    assert caught.value.retryable
    assert caught.value.status is None
    with pytest.raises(ServiceError, match="cannot be reached"):
        client("http://no-such-host.invalid").get_json("/x")


def test_tried_again_where_that_may_help() -> None:
    answers = [Reply({"error": "busy"}, 503, {"Retry-After": "0"}), Reply({"error": "x"}, 429, {"Retry-After": "0.05"}),
               Reply({"ok": 1})]  # fmt: skip
    with serving({"*": lambda request: answers[len(server.asked) - 1]}) as server:
        http = client(server.url, retries=2)
        assert http.post_json("/x", {}) == {"ok": 1}
        assert len(server.asked) == 3
        http.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422])
def test_not_tried_again_where_it_cannot_help(status: int) -> None:
    with serving({"*": Reply({"error": "no"}, status)}) as server:
        http = client(server.url, retries=3)
        with pytest.raises(ServiceError):
            http.post_json("/x", {})
        assert len(server.asked) == 1
        http.close()


def test_a_post_that_was_sent_and_not_answered_is_not_sent_again() -> None:
    with serving({"*": Reply(b"x" * 100, cut=10)}) as server:
        http = client(server.url, retries=3)
        with pytest.raises(ServiceError, match="broke off"):
            http.post_json("/x", {})
        assert len(server.asked) == 1
        with pytest.raises(ServiceError, match="broke off"):
            http.get_json("/x")
        assert len(server.asked) == 5, "asking again changes nothing"
        http.close()


def test_a_server_that_asks_for_too_long_a_wait_is_left_to_the_caller() -> None:
    with serving({"*": Reply({"error": "x"}, 429, {"Retry-After": "3600"})}) as server:
        http = client(server.url, retries=3)
        with pytest.raises(ServiceRateLimitError) as caught:
            http.get_json("/x")
        assert (caught.value.retry_after, len(server.asked)) == (3600.0, 1)
        http.close()


def test_retry_after_may_be_a_date() -> None:
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"Retry-After": "soon"}) is None
    assert retry_after({}) is None


def test_redirects() -> None:
    with serving({}) as other, serving({}) as server:
        server.routes |= {
            "GET /a": Reply(b"", 302, {"Location": "/b"}),
            "GET /b": Reply({"b": 1}),
            "POST /a": Reply(b"", 307, {"Location": "/c"}),
            "POST /c": lambda request: Reply({"c": request.json}),
            "POST /d": Reply(b"", 302, {"Location": "/b"}),
            "GET /off": Reply(b"", 302, {"Location": f"{other.url}/steal"}),
            "POST /off": Reply(b"", 307, {"Location": f"{other.url}/steal"}),
            "GET /round": Reply(b"", 302, {"Location": "/round"}),
        }
        http = client(server.url)
        assert http.get_json("/a") == {"b": 1}
        assert http.post_json("/a", {"n": 1}) == {"c": {"n": 1}}
        for ask, said in (
            (lambda: http.post_json("/d", {}), "redirects a POST"), (lambda: http.get_json("/off"), "another place"),
            (lambda: http.post_json("/off", {"secret": 1}), "another place"), (lambda: http.get_json("/round"), "circle"),
        ):  # fmt: skip
            with pytest.raises(ServiceResponseError, match=said):
                ask()
        assert not other.asked, "neither request, body nor key went there"
        with pytest.raises(ServiceResponseError, match="points to another place"):
            http.get_json(f"{other.url}/x")
        http.close()


def test_netrc_does_not_take_the_place_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving({"*": Reply({})}) as server:
        http = client(server.url)
        http.get_json("/x")
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        http.close()


# --- bounded in time and memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [Reply(b"x" * 1000, drip=0.05), Reply(b"", wait=60), Reply(b"x", endless=True)],
    ids=["drip", "wait", "endless"],
)
@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_stopped_at_once_and_the_connection_closed(call: Call, background: Spawn, reply: Reply, how: str) -> None:
    with serving({"*": reply}) as server:
        http = client(server.url, max_bytes=1 << 40)
        if how == "timeout":
            call.control(None, None, 0.3)
        running = background(lambda: within(call, lambda: http.request("GET", "/x")))
        time.sleep(0.25)
        began = time.monotonic()
        if how == "cancel":
            call.cancel("enough")
        with pytest.raises(CallCancelled if how == "cancel" else CallTimeout):
            running.result(5)
        assert time.monotonic() - began < 1.0
        if not reply.endless:
            assert server.closed_early.wait(2)
        http.close()


def test_a_slow_drip_has_an_end() -> None:
    with serving({"*": Reply(b"x" * 1000, drip=0.02)}) as server:
        http = client(server.url, total_timeout=0.3)
        began = time.monotonic()
        with pytest.raises(ServiceError, match=r"took longer than 0\.3 s"):
            http.request("GET", "/x")
        assert time.monotonic() - began < 1.5
        http.close()


def test_a_connection_that_is_never_made_can_be_stopped(call: Call, background: Spawn) -> None:
    # A listener whose queue is full: connecting hangs.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock:
        fill = [socket.socket() for _ in range(8)]
        for other in fill:
            other.setblocking(False)
            other.connect_ex(sock.getsockname())
        http = client(f"http://127.0.0.1:{sock.getsockname()[1]}", connect_timeout=30)
        running = background(lambda: within(call, lambda: http.request("GET", "/x")))
        time.sleep(0.2)
        call.cancel()
        began = time.monotonic()
        with pytest.raises(CallCancelled):
            running.result(5)
        assert time.monotonic() - began < 1.0
        for other in fill:
            other.close()


@pytest.mark.parametrize("bomb", ["endless", "gzip", "length"])
def test_too_much_is_refused_in_little_memory(bomb: str) -> None:
    packed = gzip.compress(bytes(300_000_000), 1)
    reply = {
        "endless": Reply(b"", endless=True),
        "gzip": Reply(packed, headers={"Content-Encoding": "gzip"}),
        "length": Reply(bytes(20_000_000)),
    }[bomb]
    with serving({"*": reply}) as server:
        http = client(server.url)
        tracemalloc.start()
        with pytest.raises(ServiceResponseError, match="larger than 10000000 bytes"):
            http.request("GET", "/x", max_bytes=10_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 80_000_000
        http.close()


def test_gzip_is_understood() -> None:
    with serving({"*": Reply(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})}) as server:
        http = client(server.url)
        assert http.get_json("/x") == {"a": 1}
        assert server.asked[0].headers["Accept-Encoding"] == "identity"
        http.close()


def test_64_threads_at_once(background: Spawn) -> None:
    with serving({"*": lambda request: Reply({"got": request.json["n"]}, wait=0.05)}) as server:
        http = client(server.url)
        began = time.monotonic()
        running = [background(lambda n=n: http.post_json("/x", {"n": n})) for n in range(64)]  # type: ignore[misc]
        assert [r.result()["got"] for r in running] == list(range(64))
        assert time.monotonic() - began < 5
        http.close()


# --- uploads, other hosts, addresses --------------------------------------------------------------------------------


def test_uploads_are_read_while_they_are_sent(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    seen: list[tuple[int, Any]] = []

    def take(request: Request) -> Reply:
        seen.append((len(request.parts["file"]), request.parts["file.filename"]))
        return Reply({"ok": request.parts["model"].decode()})

    def measure(request: Request) -> Reply:
        return Reply({"size": len(request.body)})

    with serving({"POST /take": take, "POST /measure": measure}) as server:
        http = client(server.url)
        upload = Upload(b"sound", 'a "quoted"\r\nname.wav', "audio/wav")
        assert http.request("POST", "/take", fields={"model": "ü"}, files={"file": upload}).body == b'{"ok": "\\u00fc"}'
        assert seen == [(5, "a %22quoted%22%0D%0Aname.wav")]
        assert (
            http.request("POST", "/take", fields={"model": ""}, files={"file": Upload(io.BytesIO(b"x"), "x")}).status
            == 200
        )
        tracemalloc.start()
        client_peak = []

        def send() -> None:
            http.request("POST", "/measure", files={"file": Upload(large, "large.bin")})
            client_peak.append(tracemalloc.get_traced_memory()[1])

        send()
        tracemalloc.stop()
        assert client_peak[0] < 250_000_000  # the server's copies are in here, too
        http.close()


def test_other_hosts_are_asked_without_the_key_and_only_the_allowed() -> None:
    with serving({"*": Reply(b"image")}) as server:
        http = client(server.url)
        assert http.fetch(f"{server.url}/picture", hosts=(), max_bytes=100).body == b"image"
        assert "Authorization" not in server.asked[-1].headers
        for wrong in ("http://example.com/x", "https://example.com/x", "ftp://127.0.0.1/x", "file:///etc/passwd",
                      "http://user@127.0.0.1/x", "https://evil-openai.com/x"):  # fmt: skip
            with pytest.raises(ServiceResponseError, match="which is not asked"):
                http.fetch(wrong, hosts=(".openai.com",), max_bytes=100)
        http.close()


@pytest.mark.parametrize(
    ("given", "clean"),
    [("localhost:9600", "http://localhost:9600"), ("http://a/", "http://a"), ("https://a:1/v1/", "https://a:1"),
     (" http://a/lollms/v1 ", "http://a")],
)  # fmt: skip
def test_addresses(given: str, clean: str) -> None:
    assert clean_address(given, strip=("/lollms/v1", "/v1")) == clean


@pytest.mark.parametrize(
    "wrong",
    ["", "ftp://a", "http://", "http://a b", "http://a:99999", "http://a:0", "http://a:x", "http://[::1", "http://::1]",
     "http://me:sesame@a", "http://me:sesame@a:99999", "sesame@[::1", "https://a?key=sesame", "https://a/v1#sesame"],
)  # fmt: skip
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(SettingsError) as caught:
        clean_address(wrong)
    assert "sesame" not in str(caught.value)
    assert threading.active_count() < 100
