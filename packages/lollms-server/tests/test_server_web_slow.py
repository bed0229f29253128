"""Slow callers: each has its deadline, leaves nothing behind, and keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from serving import SERVE, Server, models, read_reply, serving
from waiting import wait_until

SPEECH = "/v1/audio/speech"
CONFIGURATION = SERVE + models(counting="tts")
LIMITS = {"header_seconds": 1.0, "patience": 1.0, "read_seconds": 1.0, "linger_seconds": 1.0}
FORM = (
    b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION, **LIMITS) as running:
        assert running.ask("POST", SPEECH, {"input": "hello"}).status == 200
        yield running


def closed(connection: socket.socket) -> bytes:
    """What comes until the server closes a connection."""
    data = b""
    try:
        while part := connection.recv(65536):
            data += part
    except ConnectionError:
        pass
    return data


def test_headers_that_do_not_come_are_not_waited_for(server: Server) -> None:
    for begun in (b"", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
        with server.connect() as connection:
            connection.sendall(begun)
            assert closed(connection) == b""


def test_headers_that_come_byte_by_byte_are_not_waited_for(server: Server) -> None:
    with server.connect() as connection:
        stop = threading.Event()

        def drip() -> None:
            try:
                for byte in b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 10_000:
                    if stop.wait(0.05):
                        return
                    connection.sendall(bytes([byte]))
            except OSError:
                return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert closed(connection) == b""
        stop.set()
        dripping.join()


@pytest.mark.parametrize("sent", [b"", b'{"inp'], ids=["none of it", "its beginning"])
def test_a_body_that_does_not_come_is_not_waited_for(server: Server, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n" + sent
        )
        reply = read_reply(connection)
        assert (reply.status, reply.error["code"]) == (408, "too_slow")
        assert reply.headers["x-should-retry"] == "false"
        closed(connection)


def test_an_upload_that_drips_leaves_nothing(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(FORM + b"x")
        wait_until(server.files)
        assert read_reply(connection).status == 408
    wait_until(lambda: not server.files())


def test_an_upload_that_is_cut_leaves_nothing(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(FORM + bytes(10_000))
        wait_until(server.files)
    wait_until(lambda: not server.files())


def test_an_answer_that_is_not_read_ends_its_call(server: Server) -> None:
    began, cancelled = server.counted.count("began"), server.counted.count("cancelled")
    # Some 10 MB of samples a second and no end: more than any buffer between us holds.
    body = json.dumps({"input": "work 100000 10", "response_format": "wav"}).encode()
    head = f"POST {SPEECH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    connection = server.connect()
    connection.sendall(f"{head}\r\n\r\n".encode() + body)
    wait_until(lambda: server.counted.count("began") > began)
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    connection.close()


def test_a_body_that_nobody_reads_ends_its_connection(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n")
        assert read_reply(connection).status == 404
        assert closed(connection) == b""


def test_many_slow_ones_keep_nobody_waiting(server: Server) -> None:
    slow = [server.connect() for _ in range(200)]
    for number, connection in enumerate(slow):
        if number % 2:
            connection.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n")
    replies = [server.ask("POST", SPEECH, {"input": "hello"}) for _ in range(5)]
    assert [reply.status for reply in replies] == [200] * 5
    for connection in slow:
        connection.close()


def test_nothing_waits_for_an_acknowledgement() -> None:
    """Whatever socket it is given to listen at: Nagle's algorithm is off."""
    from lollms_server.web.listening import uvicorn_config
    from lollms_server.web.settings import WebSettings
    from uvicorn.server import ServerState

    class Nothing:
        settings = WebSettings()

        async def __call__(self, scope: object, receive: object, send: object) -> None:
            return None

    async def accepted() -> int:
        config = uvicorn_config(Nothing())  # type: ignore[arg-type]
        config.load()
        made = []

        def protocol() -> asyncio.Protocol:
            made.append(config.http_protocol_class(config=config, server_state=ServerState(), app_state={}))
            return made[-1]

        listening = socket.create_server(("127.0.0.1", 0))
        assert listening.proto == 0
        server = await asyncio.get_running_loop().create_server(protocol, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            while not made or made[0].transport is None:
                await asyncio.sleep(0.01)
            sock = made[0].transport.get_extra_info("socket")
            found: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            await writer.wait_closed()
            made[0].transport.abort()
            await asyncio.sleep(0)
        return found

    assert asyncio.run(accepted()) == 1
