"""Callers that go away, or cancel: what becomes of their calls, in the queue and in the engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from counting_engine import STAGES
from serving import Server, read_reply, serving
from waiting import wait_until

SPEECH, VERBS = "/v1/audio/speech", "/lollms/v2/bindings/tts/counting/verbs"
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.counting]
binding = "counting"
modality = "tts"
isolated = ISOLATED
max_queue = 3
"""
LIMITS = {"ping_seconds": 0.2}
LONG = "work 100000"


@pytest.fixture(scope="module", params=["false", "true"], ids=["in place", "isolated"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    configuration = CONFIGURATION.replace("ISOLATED", request.param)
    with serving(tmp_path_factory.mktemp("server"), configuration, **LIMITS) as running:
        assert running.ask("POST", SPEECH, {"input": "hello"}).status == 200
        yield running


@pytest.fixture(autouse=True)
def idle(server: Server) -> Iterator[None]:
    """No call outlives its test, and the model takes the next one."""
    yield
    wait_until(lambda: not calls(server))
    wait_until(
        lambda: server.counted.count("began") == server.counted.count("ended") + server.counted.count("cancelled")
    )
    assert server.ask("POST", SPEECH, {"input": "hello"}).status == 200


def calls(server: Server) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = server.ask("GET", "/lollms/v2/calls").json["data"]
    return rows


def asking(server: Server, path: str, body: object, **headers: str) -> socket.socket:
    """A connection on which something was asked for."""
    data = json.dumps(body).encode()
    given = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
    connection = server.connect()
    head = "\r\n".join([f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items()), "", ""])
    connection.sendall(head.encode() + data)
    return connection


WAYS = [
    (SPEECH, {"input": LONG}, {}),
    (SPEECH, {"input": LONG, "stream_format": "sse"}, {}),
    (f"{VERBS}/generate_audio", {"arguments": {"text": LONG}}, {}),
    (f"{VERBS}/generate_audio", {"arguments": {"text": LONG}}, {"Accept": "text/event-stream"}),
    (f"{VERBS}/stream_audio", {"arguments": {"text": LONG}}, {"Accept": "text/event-stream"}),
]


@pytest.mark.parametrize("way", WAYS, ids=["bytes", "sse", "call", "call as events", "stream"])
def test_who_goes_away_stops_the_engine(server: Server, way: tuple[str, dict[str, object], dict[str, str]]) -> None:
    cancelled, began = server.counted.count("cancelled"), server.counted.count("began")
    connection = asking(server, way[0], way[1], **way[2])
    wait_until(lambda: server.counted.count("began") > began)
    connection.close()
    wait_until(lambda: server.counted.count("cancelled") > cancelled)


def test_who_goes_away_leaves_the_queue(server: Server) -> None:
    began, cancelled = server.counted.count("began"), server.counted.count("cancelled")
    first = asking(server, SPEECH, {"input": LONG})
    wait_until(lambda: server.counted.count("began") > began)
    waiting = asking(server, SPEECH, {"input": "never"})
    wait_until(lambda: [call["state"] for call in calls(server)].count("queued") == 1)
    waiting.close()
    wait_until(lambda: len(calls(server)) == 1)
    first.close()
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    assert not any("never" in line for line in server.counted.lines())


def test_a_full_queue_says_when_to_come_again(server: Server) -> None:
    connections = [asking(server, SPEECH, {"input": LONG}) for _ in range(4)]
    wait_until(lambda: len(calls(server)) == 4)
    reply = server.ask("POST", SPEECH, {"input": "hello"})
    assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(reply.headers["retry-after"]) <= 3600
    assert "x-should-retry" not in reply.headers
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("way", WAYS[:2], ids=["bytes", "sse"])
def test_a_call_is_cancelled_by_its_id(server: Server, way: tuple[str, dict[str, object], dict[str, str]]) -> None:
    cancelled = server.counted.count("cancelled")
    connection = asking(server, way[0], way[1], **{"X-Request-ID": "mine", **way[2]})
    connection.recv(1, socket.MSG_PEEK)  # the answer has begun
    assert server.ask("DELETE", "/lollms/v2/calls/mine").json == {"id": "mine", "cancelled": True}
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    if "stream_format" in way[1]:
        reply = read_reply(connection)
        last = json.loads(reply.body.decode().split("data: ")[-1])
        assert last["error"]["code"] == "cancelled"
        assert reply.body.endswith(b"\n\n")
    else:
        with pytest.raises(ConnectionError):  # half of the sound does not pass for the whole
            read_reply(connection)
    connection.close()
    assert server.ask("DELETE", "/lollms/v2/calls/mine").error["code"] == "call_not_found"


def test_a_call_that_waits_is_cancelled_by_its_id(server: Server) -> None:
    began = server.counted.count("began")
    first = asking(server, SPEECH, {"input": LONG})
    wait_until(lambda: server.counted.count("began") > began)
    waiting = asking(server, SPEECH, {"input": "never"}, **{"X-Request-ID": "waits"})
    wait_until(lambda: len(calls(server)) == 2)
    assert server.ask("DELETE", "/lollms/v2/calls/waits").status == 200
    reply = read_reply(waiting)
    assert (reply.status, reply.error["code"]) == (499, "cancelled")
    first.close()
    waiting.close()


def test_progress_comes_while_it_is_made(server: Server) -> None:
    connection = asking(
        server, f"{VERBS}/generate_audio", {"arguments": {"text": "work 30"}}, Accept="text/event-stream"
    )
    events = [json.loads(part) for part in read_reply(connection).body.decode().split("data: ")[1:] if "{" in part]
    connection.close()
    told = [event["done"] for event in events if event["type"] == "progress"]
    assert told == sorted(told)
    assert len(told) > 3
    assert events[-1]["type"] == "result"


def test_no_stage_is_left_out_of_what_is_reported_at_once(server: Server) -> None:
    body = {"arguments": {"text": "stages"}}
    reply = server.ask("POST", f"{VERBS}/generate_audio", body, {"Accept": "text/event-stream"})
    events = [json.loads(part) for part in reply.body.decode().split("data: ")[1:] if "{" in part]
    told = [(event["stage"], event["done"]) for event in events if event["type"] == "progress"]
    ends = [(stage, done) for stage in STAGES for done in (0, 100)]
    assert [report for report in told if report in ends] == ends


def test_a_quiet_stream_says_that_it_is_there(server: Server) -> None:
    for way in ({"stream_format": "sse", "response_format": "wav"}, {}):
        path, body = (
            (SPEECH, {"input": "pause", **way}) if way else (f"{VERBS}/stream_audio", {"arguments": {"text": "pause"}})
        )
        reply = server.ask("POST", path, body, {"Accept": "text/event-stream"})
        assert b": ping\n\n" in reply.body
        assert reply.body.startswith(b"data: ")
        assert reply.body.endswith(b"}\n\n")


def test_a_worker_that_dies_ends_its_call_alone(server: Server, request: pytest.FixtureRequest) -> None:
    text = "crash" if "isolated" in request.node.callspec.id else "fail"  # in place a crash is the server's own
    reply = server.ask("POST", SPEECH, {"input": text})
    assert (reply.status, reply.error["code"]) == (500, "engine_failed")
    assert reply.headers["x-should-retry"] == "false"
    server.counted.note("ended so")
