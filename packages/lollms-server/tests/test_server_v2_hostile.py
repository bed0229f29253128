"""What a hostile client may try at ``/lollms/v2`` and the page, over real sockets: calls, their events, jobs, files."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lollms_modalities import Audio
from serving import SERVE, Reply, Server, form, models, read_reply, server_of
from waiting import wait_until

CONFIGURATION = SERVE + models(counting="tts", ears="stt") + models("example", hearing="stt")
JOBS, CONVERT, CALLS = "/lollms/v2/jobs", "/lollms/v2/audio/convert", "/lollms/v2/calls"
SPEAK = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
STREAM = "/lollms/v2/bindings/tts/counting/verbs/stream_audio"
LIVE = "/lollms/v2/bindings/stt/hearing/verbs/transcribe_live"
WAV = bytes(Audio.from_pcm(bytes(16000), 8000))
ASYNC, EVENTS = {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}
JSON = {"Content-Type": "application/json"}

server = server_of(CONFIGURATION, ping_seconds=0.2, lease=(0.3, 30.0))


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """Whatever a test does, the server answers as before; nothing of it stays, and nothing has failed in it."""
    yield
    assert server.ask("POST", SPEAK, {"arguments": {"text": "hello"}}).status == 200
    wait_until(lambda: not server.files())
    assert "Traceback" not in server.log.read_text()


def job_of(server: Server, text: str) -> str:
    reply = server.ask("POST", SPEAK, {"arguments": {"text": text}}, ASYNC)
    assert reply.status == 202
    made: str = reply.json["id"]
    return made


def refused(reply: Reply, status: int = 400) -> dict[str, Any]:
    assert reply.status == status, reply.body[:300]
    return reply.error


# What is no text and no number of JSON's, in a body and in the field of a form that holds JSON.
WRONG = {
    "half a character": '{"text": "a\\ud800b"}',
    "half a character as a name": '{"text": "hello", "\\udfff": 1}',
    "no number": '{"text": "hello", "n": NaN}',
    "no end": '{"text": "hello", "n": -Infinity}',
    "too large a number": '{"text": "hello", "n": 1e999}',
    "too long a number": '{"text": "hello", "seed": ' + "9" * 4000 + "}",
    "too deep": '{"text": "hello", "n": ' + "[" * 40 + "]" * 40 + "}",
    "far too deep": '{"text": ' + "[" * 30_000 + "]" * 30_000 + "}",
    "cut": '{"text": "hello"',
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("headers", [{}, EVENTS, ASYNC], ids=["whole", "events", "job"])
def test_json_is_read_alike_wherever_it_stands(server: Server, kind: str, headers: dict[str, str]) -> None:
    began = server.counted.count("began")
    for path in (SPEAK, STREAM):
        in_body = server.ask("POST", path, f'{{"arguments": {WRONG[kind]}}}'.encode(), JSON | headers)
        body, of_form = form({"arguments": WRONG[kind]})
        in_form = server.ask("POST", path, body, of_form | headers)
        assert refused(in_body)["code"] == refused(in_form)["code"]
        assert (in_form.error["code"], in_form.error["param"]) in (
            ("invalid_json", "arguments"), ("invalid_number", "arguments"))  # fmt: skip
    assert server.counted.count("began") == began


def test_arguments_come_once(server: Server) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{{"text": "hello"}}\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for second in ("arguments", "arguments[]"):
        body = (part.format("arguments") + part.format(second) + "--b--\r\n").encode()
        error = refused(server.ask("POST", SPEAK, body, headers))
        assert (error["code"], error["param"]) == ("invalid_form", "arguments")


def test_a_list_of_an_option_is_read_so_too(server: Server) -> None:
    body, headers = form({"file": ("a.wav", WAV), "hotwords": "[" * 500 + "]" * 500})
    error = refused(server.ask("POST", "/v1/audio/transcriptions", body, headers | {}))
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("frames", ["x", [], [1], [{"$": "AudioChunk"}], {"data": "AAAA"}], ids=repr)
@pytest.mark.parametrize("headers", [EVENTS, ASYNC, {}], ids=["events", "job", "whole"])
def test_sound_while_it_is_said_is_not_for_a_request(server: Server, frames: Any, headers: dict[str, str]) -> None:
    error = refused(server.ask("POST", LIVE, {"arguments": {"frames": frames}}, headers))
    assert (error["code"], "/lollms/v2/worker" in error["message"]) == ("not_by_request", True)
    body, of_form = form({"frames": ("a.wav", WAV)})
    assert refused(server.ask("POST", LIVE, body, of_form | headers))["code"] == "not_by_request"


@pytest.mark.parametrize(
    ("accept", "taken"),
    [("text/event-stream", True), ("application/json, text/event-stream;q=0.5", True), ("TEXT/EVENT-STREAM", True),
     ("text/event-stream;q=0", False), ("text/event-stream; q = 0.000", False), ("text/event-streams", False),
     ("x/text/event-stream", False), ("*/*", False), ("," * 5000, False)],
)  # fmt: skip
def test_events_are_for_who_asks_for_them(server: Server, accept: str, taken: bool) -> None:
    reply = server.ask("POST", SPEAK, {"arguments": {"text": "hello"}}, {"Accept": accept})
    assert reply.headers["content-type"].startswith("text/event-stream" if taken else "audio/wav")


ODD_IDS = ["x", "*", "%25", "..", "%2e%2e", "a%00b", "%F0%9F%98%80", "job_" + "0" * 32, "job_" + "0" * 31 + "%00",
           "job_" + "0" * 33, "JOB_" + "0" * 32, "video_" + "0" * 32, "job_" + "0" * 32 + "%20", "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_id_that_is_none_is_nobodys_job(server: Server, odd: str) -> None:
    for method, path in (("GET", ""), ("GET", "/content"), ("POST", "/cancel"), ("DELETE", "")):
        for headers in ({}, EVENTS):
            reply = server.ask(method, f"{JOBS}/{odd}{path}", b"", headers)
            assert refused(reply, 404)["code"] in ("job_not_found", "not_found")
    assert refused(server.ask("DELETE", f"{CALLS}/{odd}"), 404)["code"] == "call_not_found"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=1e3", "limit=%D9%A3", "order=up",
                                   "order=desc%00", "status=nope", "status=queued%00", "status=a%27%20OR%201=1--"])  # fmt: skip
def test_what_a_list_is_asked_for_is_looked_at(server: Server, query: str) -> None:
    error = refused(server.ask("GET", f"{JOBS}?{query}"))
    assert (error["code"], error["param"]) == ("invalid_value", query.partition("=")[0])


@pytest.mark.parametrize("after", ["x", "a%00b", "%ff", "x" * 5000, "job_" + "0" * 32, "%27%20OR%201=1--"])
def test_behind_what_is_no_job_there_is_none(server: Server, after: str) -> None:
    assert server.ask("GET", f"{JOBS}?after={after}").json["data"] == []


@pytest.mark.parametrize("file", ["-1", "0x0", "1e0", "%D9%A3", "1" * 50, "99999", "1"])
def test_a_number_of_a_file_is_one(server: Server, file: str) -> None:
    job = job_of(server, "hello")
    wait_until(lambda: server.ask("GET", f"{JOBS}/{job}").json["status"] == "completed")
    assert server.ask("GET", f"{JOBS}/{job}/content?file={file}").status in (400, 404)
    assert server.ask("GET", f"{JOBS}/{job}/content?file=0").body[:4] == b"RIFF"


def test_of_an_endless_answer_only_the_head_is_sent_where_that_is_asked_for(server: Server) -> None:
    job = job_of(server, "work 100000")
    with server.connect() as connection:  # the next answer on the connection is not kept waiting
        for method in ("HEAD", "GET"):
            path = f"{JOBS}/{job}" if method == "HEAD" else "/health"
            connection.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
            )
        said = b""
        while said.count(b"HTTP/1.1 200") < 2:
            part = connection.recv(65536)
            assert part, f"cut after {said!r}"
            said += part
    assert b"data:" not in said
    assert server.ask("DELETE", f"{JOBS}/{job}").json["deleted"] is True


def test_who_watches_a_job_and_leaves_holds_nothing_up(server: Server) -> None:
    job = job_of(server, "work 100000")
    watching = []
    for _ in range(100):
        connection = server.connect()
        connection.sendall(
            f"GET {JOBS}/{job} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        watching.append(connection)
    for connection in watching[:-1]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # with a reset
    assert server.ask("POST", f"{JOBS}/{job}/cancel").json["status"] == "cancelled"
    with watching[-1] as last:
        assert b'"status":"cancelled"' in read_reply(last).body
    again = server.ask("POST", f"{JOBS}/{job}/cancel", b"x" * 100_000)  # a body that nobody reads
    assert again.json["status"] == "cancelled"
    assert server.ask("DELETE", f"{JOBS}/{job}").json["deleted"] is True
    assert refused(server.ask("DELETE", f"{JOBS}/{job}"), 404)["code"] == "job_not_found"


def test_an_id_of_a_request_that_another_has_cancels_the_one_alone(server: Server) -> None:
    connections = [server.connect() for _ in range(2)]
    for connection in connections:
        body = json.dumps({"arguments": {"text": "work 100001"}}).encode()
        connection.sendall(
            f"POST {SPEAK} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-ID: same\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_until(lambda: any(c["id"] == "same" for c in server.ask("GET", CALLS).json["data"]))
    wait_until(lambda: len(server.ask("GET", CALLS).json["data"]) == 2)
    ids = {call["id"] for call in server.ask("GET", CALLS).json["data"]}
    assert len(ids) == 2
    assert server.ask("DELETE", f"{CALLS}/same").json["cancelled"] is True
    wait_until(lambda: {call["id"] for call in server.ask("GET", CALLS).json["data"]} == ids - {"same"})
    wait_until(lambda: server.counted.lines().count("began 'work 100001' None") == 2)  # the other's turn has come
    for connection in connections:
        connection.close()
    wait_until(lambda: server.counted.lines().count("cancelled 'work 100001'") == 2)


def sound(rate: int, size: int, channels: int = 1, claims: int | None = None) -> bytes:
    """A WAV file whose header says that."""
    claims = size if claims is None else claims
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 2 * channels % 2**32, 2 * channels % 2**16, 16)
    return b"RIFF" + struct.pack("<I", (36 + claims) % 2**32) + b"WAVEfmt " + head + b"data" + struct.pack(
        "<I", claims) + bytes(size)  # fmt: skip


NO_SOUND = {
    "one sample a second": sound(1, 400_000), "a hundred a second": sound(100, 400_000), "none": sound(0, 4000),
    "two thousand million": sound(2**31 - 1, 4000), "no channel": sound(8000, 4000, 0),
    "a playlist": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
    "a list of files": b"ffconcat version 1.0\nfile '/etc/passwd'\n", "an empty one": b"", "nothing": b"nothing",
    "a session": b"v=0\nm=audio 5004 RTP/AVP 0\nc=IN IP4 127.0.0.1\na=rtpmap:0 PCMU/8000\n",
    "an address": b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>http://127.0.0.1:1/</BaseURL></Period></MPD>',
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_SOUND)
def test_what_is_no_sound_becomes_none(server: Server, kind: str) -> None:
    for wanted in ("flac", "opus"):
        body, headers = form({"output_format": wanted, "file": ("x.wav", NO_SOUND[kind])})
        error = refused(server.ask("POST", CONVERT, body, headers))
        assert error["code"] == "invalid_media"
        assert "/" + "etc" not in error["message"]


def test_a_format_without_room_for_the_sound_is_the_callers_mistake(server: Server) -> None:
    body, headers = form({"output_format": "flac", "file": ("x.wav", sound(8000, 80_000, 100))})
    error = refused(server.ask("POST", CONVERT, body, headers))
    assert (error["code"], "100 channels" in error["message"]) == ("invalid_media", True)


def test_a_recording_that_claims_more_than_it_has_becomes_what_it_has(server: Server) -> None:
    body, headers = form({"output_format": "flac", "file": ("x.wav", sound(8000, 4000, claims=2**32 - 40))})
    reply = server.ask("POST", CONVERT, body, headers)
    assert (reply.status, Audio(reply.body).duration) == (200, 0.25)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"output_format": "../x"}, "output_format"), ({"output_format": "mp4"}, "output_format"), ({}, "output_format"),
     ({"output_format": "mp3", "bitrate": "9"}, "bitrate"), ({"output_format": "mp3", "file": "/etc/passwd"}, "file"),
     ({"output_format": "mp3", "file2": ("x.wav", WAV)}, "file2"), ({"output_format": "mp3", "file[]": ("x.wav", WAV)}, "file")],
)  # fmt: skip
def test_a_conversion_names_its_format_and_brings_one_file(server: Server, fields: dict[str, Any], param: str) -> None:
    given = {"file": ("a.wav", WAV), **fields} if fields.get("file") is None else fields
    error = refused(server.ask("POST", CONVERT, *form(given)))
    assert error["param"] == param
    reply = server.ask("POST", CONVERT, {"output_format": "mp3", "file": "/etc/passwd"})
    assert refused(reply)["param"] == "file"


def test_the_page_is_its_files_and_nothing_else(server: Server) -> None:
    found = re.search(r"page/([0-9a-f]{16})/", server.ask("GET", "/").body.decode())
    assert found is not None
    page = f"/page/{found[1]}"
    for tail in ("/../../index.html", "/..%2f..%2f__init__.py", "/%2e%2e/main.js", "//main.js", "/main.js%00", "/MAIN.JS",
                 "/main.js/", "/main.js;x", "", "/", "/lib", "%2fmain.js", "/..\\main.js", "/" + "a/" * 3000):  # fmt: skip
        assert server.ask("GET", page + tail).status == 404, tail
    for other in (
        "/page/@/main.js",
        "/page/0000000000000000/main.js",
        "/index.html",
        "//",
        "/page",
        f"/{page}/main.js",
    ):
        assert server.ask("GET", other).status == 404, other
    for method in ("POST", "PUT", "DELETE", "TRACE", "OPTIONS", "get"):
        for path in ("/", f"{page}/main.js"):
            assert refused(server.ask(method, path), 405)["code"] == "method_not_allowed"
    plain = server.ask("GET", f"{page}/main.js?x=%3Cscript%3E", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "content-encoding" not in plain.headers
    assert b"script%3E" not in plain.body
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert server.ask("GET", f"{page}/main.js", headers=headers).status == 403
    whole = server.ask("GET", f"{page}/main.js", headers={"Range": "bytes=0-1", "If-None-Match": "*"})
    assert (whole.status, whole.body) == (200, plain.body)


def test_a_time_that_is_none_is_refused_and_a_short_one_is_kept(server: Server) -> None:
    for wrong in (True, "5", -1, 0, 1e9, [5]):
        assert (
            refused(server.ask("POST", SPEAK, {"arguments": {"text": "hello"}, "timeout": wrong}))["param"] == "timeout"
        )
    began = time.monotonic()
    reply = server.ask("POST", SPEAK, {"arguments": {"text": "work 100000"}, "timeout": 1e-300})
    assert refused(reply, 504)["code"] == "timeout"
    assert time.monotonic() - began < 30
