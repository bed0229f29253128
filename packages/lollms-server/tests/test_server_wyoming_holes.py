"""Wyoming attacked: lengths, garbage, drips, halves of events, a thousand connections."""

from __future__ import annotations

import json
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from serving import SERVE, Server, models, server_of, serving
from unsent import filled, is_open
from waiting import wait_until

CONFIGURATION = f"""
{SERVE}
[serve.wyoming]
stt_port = 0
tts_port = 0
live = false
max_connections = 40
{models(counting="tts", ears="stt")}
"""
LIMITS = {
    "event_seconds": 0.8,
    "idle_seconds": 20.0,
    "pause_seconds": 0.6,
    "read_seconds": 1.0,
    "held_bytes": 1_000_000,
}


server = server_of(CONFIGURATION, wyoming=LIMITS)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose engine begins to listen at once, and takes nothing any more."""
    holding = CONFIGURATION.replace("live = false", "live = true").replace(
        '"counting"\nmodality = "stt"', '"ears"\nmodality = "stt"'
    )
    holding += 'settings = { default_said = "hold" }\n'
    with serving(tmp_path_factory.mktemp("live"), holding) as running:
        yield running


@pytest.fixture(autouse=True)
def alive(server: Server) -> Iterator[None]:
    """It answers before and after."""
    yield
    for port in (server.hears, server.speaks):
        wait_until(lambda port=port: answers(port))  # type: ignore[misc]
    assert "Traceback" not in server.log.read_text()


def to(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def answers(port: int) -> bool:
    with to(port) as connection:
        connection.sendall(b'{"type":"ping","data":{"text":"x"}}\n')
        with suppress(ConnectionError):
            return b'"pong"' in connection.recv(4096)
    return False


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends it."""
    came = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            came += part
    return came


def code(came: bytes) -> str:
    """Of the error that stands at the end."""
    head, _, data = came[came.rindex(b'{"type":"error"') :].partition(b"\n")
    told = json.loads(data[: json.loads(head)["data_length"]])
    return str(told["code"])


LINES = [
    (b"\n", "invalid_event"),
    (b"\x00\xff\xfe\n", "invalid_event"),
    (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "invalid_event"),
    (b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n" + b'{"type":"describe"}\n', "invalid_event"),
    (b"[1, 2]\n", "invalid_event"),
    (b'{"data": {}}\n', "invalid_event"),
    (b'{"type": 7}\n', "invalid_event"),
    (b'{"type": "ping", "data": [1]}\n', "invalid_event"),
    (b'{"type": "ping", "data_length": -1}\n', "invalid_event"),
    (b'{"type": "ping", "data_length": true}\n', "invalid_event"),
    (b'{"type": "ping", "data_length": "7"}\n', "invalid_event"),
    (b'{"type": "ping", "data_length": 1e300}\n', "invalid_event"),
    (b'{"type": "ping", "data_length": 99999999999999999999999}\n', "too_large"),
    (b'{"type": "ping", "payload_length": 4000001}\n', "too_large"),
    (b'{"type": "ping", "data_length": 3}\nxyz', "invalid_event"),
    (b'{"type": "ping", "data_length": 2}\n[]', "invalid_event"),
    (b"[" * 60_000 + b"\n", "invalid_event"),
    (b'{"a":' * 12_000 + b"\n", "invalid_event"),
    (b"x" * 200_000, "too_large"),
    (b'{"type": "ping", "data": {"text": "' + b"a" * 30_000 + b'"}}\n', "invalid_value"),
]


@pytest.mark.parametrize(("sent", "told"), LINES, ids=[str(number) for number in range(len(LINES))])
def test_what_is_no_event_is_told_and_cut(server: Server, sent: bytes, told: str) -> None:
    with to(server.speaks) as connection:
        connection.sendall(sent)
        assert code(rest(connection)) == told


@pytest.mark.parametrize(
    "begun", [b"{", b'{"type": "ping", "data_length": 5}\n{', b'{"type": "ping", "payload_length": 9}\n'],
    ids=["line", "data", "payload"],
)  # fmt: skip
def test_an_event_that_drips_is_cut(server: Server, begun: bytes) -> None:
    with to(server.hears) as connection:
        connection.sendall(begun)
        assert code(rest(connection)) == "too_slow"
    with to(server.hears) as connection:
        connection.sendall(begun)  # and half of one that ends is nothing
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""


def test_sound_that_stops_without_an_end_is_cut(server: Server) -> None:
    with to(server.hears) as connection:
        connection.sendall(b'{"type": "audio-start"}\n')
        assert code(rest(connection)) == "too_slow"


def chunk(size: int, rate: int = 192_000, channels: int = 2) -> bytes:
    data = json.dumps({"rate": rate, "width": 2, "channels": channels}).encode()
    head = json.dumps({"type": "audio-chunk", "data_length": len(data), "payload_length": size}).encode()
    return head + b"\n" + data + bytes(size)


def test_sound_that_is_kept_is_bounded_for_all_together(server: Server) -> None:
    with to(server.hears) as one, to(server.hears) as other:
        one.sendall(chunk(800_000))
        other.sendall(chunk(800_000))
        with ExitStack() as ends:
            ends.callback(one.close)
            told = [code(came) for came in (rest(other), rest(one)) if b"error" in came]
        assert "too_large" in told
    with to(server.hears) as again:  # what they had is free
        again.sendall(chunk(800_000) + b'{"type": "audio-stop"}\n')
        assert b"transcript" in again.recv(4096)


def test_who_takes_nothing_is_cut_and_the_engine_is_stopped(server: Server) -> None:
    cancelled = server.counted.count("cancelled")
    with to(server.speaks) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        data = json.dumps({"text": "work 100000 60"}).encode()
        connection.sendall(b'{"type": "synthesize", "data_length": %d}\n' % len(data) + data)
        wait_until(lambda: server.counted.count("cancelled") > cancelled)


def test_who_resets_the_connection_stops_the_engine(server: Server) -> None:
    began, cancelled = server.counted.count("began"), server.counted.count("cancelled")
    with to(server.speaks) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b'{"type": "synthesize", "data": {"text": "work 100000"}}\n')
        wait_until(lambda: server.counted.count("began") > began)
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_who_goes_while_sound_waits_for_room_is_not_written_down(live: Server, how: str) -> None:
    began, cancelled = live.counted.count("began"), live.counted.count("cancelled")
    with to(live.hears) as connection:
        # More than is taken ahead of an engine that takes nothing, 33 s, and not so much that it stays on the way.
        connection.sendall(chunk(32_000, 16_000, 1) * 33)
        wait_until(lambda: live.counted.count("began") > began)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: live.counted.count("cancelled") > cancelled, 10)
    assert "Traceback" not in live.log.read_text()


@pytest.mark.full
def test_of_what_is_never_taken_nothing_stays(server: Server) -> None:
    data = json.dumps({"text": "x" * 900}).encode()
    ping = b'{"type":"ping","data_length":%d}\n' % len(data) + data
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        connection.connect(("127.0.0.1", server.hears))
        port = connection.getsockname()[1]
        filled(server, port, lambda: connection.sendall(ping * 8))
        connection.sendall(b"\n")  # after which it is closed
        wait_until(lambda: not is_open(server, port), 20)


ODD = ("\ud800", "a\0b", "\u2028\u202e", "\x1b[2J", "x" * 100_000, "\U0010ffff", "..." * 1000)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_odd_texts_are_spoken_or_refused(server: Server, number: int) -> None:
    for event in (
        {"type": "synthesize", "data": {"text": ODD[number]}},
        {"type": "synthesize", "data": {"text": "work 1", "voice": {"name": ODD[number], "speaker": ODD[number]}}},
        {"type": "synthesize", "data": {"text": "work 1", "voice": {"language": ODD[number]}}},
        {"type": "select-program", "data": {"name": ODD[number]}},
    ):
        data = json.dumps(event["data"]).encode()
        head = json.dumps({"type": event["type"], "data_length": len(data)}).encode()
        with to(server.speaks) as connection:
            connection.sendall(head + b"\n" + data)
            if event["type"] == "select-program":
                connection.sendall(b'{"type": "synthesize", "data": {"text": "x"}}\n')
            came = b""
            while not (b'{"type":"audio-stop"' in came or b'{"type":"error"' in came):
                part = connection.recv(65536)
                assert part, came[-300:]
                came += part
            assert len(came) < 200_000
            assert b"internal_error" not in came


def test_a_thousand_connections_are_told_that_they_are_too_many(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3000)) if hard > 0 else 3000, hard))
    try:
        with ExitStack() as held:
            open_ = [held.enter_context(to(server.hears)) for _ in range(1000)]
            refused = 0
            for connection in open_:
                with suppress(ConnectionError):
                    connection.sendall(b'{"type":"ping"}\n')
                with suppress(ConnectionError):
                    refused += b"too_many_connections" in connection.recv(4096)
            assert refused >= 900
            assert server.ask("GET", "/health").status == 200  # and HTTP goes on
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_events_at_once_hold_up_nobody(server: Server) -> None:
    with to(server.hears) as connection:
        connection.sendall(b'{"type":"nothing"}\n' * 20_000)
        assert answers(server.hears)
        assert answers(server.speaks)
