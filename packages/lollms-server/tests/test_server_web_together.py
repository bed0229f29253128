"""Texts that come within a few milliseconds, spoken by one call of a binding that has a verb for that."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lollms_modalities import probe_audio
from serving import SERVE, Reply, Server, models, read_reply, server_of

SPEECH = "/v1/audio/speech"
server = server_of(SERVE + models("choir", choir="tts") + models(alone="tts"))


def all_at_once(server: Server, bodies: list[dict[str, Any]]) -> list[Reply]:
    """What is answered to requests that are sent at the same moment."""
    connections = [server.connect() for _ in bodies]
    sent = []
    for body in bodies:
        data = json.dumps(body).encode()
        head = f"POST {SPEECH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
        sent.append(f"{head}{len(data)}\r\n\r\n".encode() + data)
    for connection, data in zip(connections, sent, strict=True):
        connection.sendall(data[:-1])
    server.ask("GET", "/health")  # all but the last byte has come
    for connection, data in zip(connections, sent, strict=True):
        connection.sendall(data[-1:])
    with ThreadPoolExecutor(len(bodies)) as threads:
        replies = list(threads.map(read_reply, connections))
    for connection in connections:
        connection.close()
    return replies


def calls(server: Server) -> list[str]:
    return [line for line in server.counted.lines() if line.startswith("together")]


@pytest.mark.parametrize("kind", ["wav", "mp3", "pcm"])
def test_texts_that_come_together_are_spoken_together(server: Server, kind: str) -> None:
    for _ in range(20):  # a busy machine may part them
        before = len(calls(server))
        texts = {f"work {n}": n for n in (1, 2, 5, 9)}
        bodies = [{"model": "choir", "input": text, "voice": "one", "response_format": kind} for text in texts]
        replies = all_at_once(server, bodies)
        assert [reply.status for reply in replies] == [200] * 4
        for reply, steps in zip(replies, texts.values(), strict=True):
            seconds = len(reply.body) / 48000 if kind == "pcm" else probe_audio(reply.body)[2]
            assert seconds == pytest.approx(steps * 0.05, abs=0.06 if kind == "mp3" else 0.001), "each has its own"
        if len(calls(server)) > before:
            return
    raise AssertionError("they were never spoken together")


def test_what_differs_is_not_put_together(server: Server) -> None:
    before = len(calls(server))
    many = ({"voice": "two"}, {"voice": "one"}, {"loud": True}, {"response_format": "wav"}, {"model": "alone"})
    replies = all_at_once(server, [{"model": "choir", "input": f"work {n}", **body} for n, body in enumerate(many, 1)])
    replies += all_at_once(server, [{"model": "choir", "input": f"work {n}", "seed": 1} for n in (1, 2, 3)])
    assert [reply.status for reply in replies] == [200] * 8
    assert len(calls(server)) == before


def test_one_that_fails_fails_no_other(server: Server) -> None:
    for _ in range(20):
        before = len(calls(server))
        replies = all_at_once(server, [{"model": "choir", "input": text} for text in ("work 1", "fail", "work 2")])
        assert [reply.status for reply in replies] == [200, 500, 200]
        if any("fail" in line for line in calls(server)[before:]):
            return
    raise AssertionError("they were never spoken together")
