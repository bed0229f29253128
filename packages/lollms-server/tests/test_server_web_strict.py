"""JSON says of what type a value is, and is taken at its word; a form has texts alone. Over real sockets."""

from __future__ import annotations

import base64
import json
from importlib.metadata import version
from typing import Any

import pytest
from lollms_modalities import CONTRACT_VERSION, PROTOCOL_VERSION, Audio
from serving import SERVE, Server, form, models, server_of

SPEECH, HEARING = "/v1/audio/speech", "/v1/audio/transcriptions"
CONFIGURATION = SERVE + models(counting="tts", ears="stt")
WAV = bytes(Audio.from_pcm(bytes(16000), 8000))


server = server_of(CONFIGURATION)


SPEAKING: list[tuple[dict[str, Any], str]] = [
    ({"input": ["a"]}, "input"), ({"input": 5}, "input"), ({"input": {"text": "a"}}, "input"), ({"input": True}, "input"),
    ({"speed": True}, "speed"), ({"speed": "1.0"}, "speed"), ({"speed": [1.0]}, "speed"), ({"speed": {}}, "speed"),
    ({"model": ["tts-1"]}, "model"), ({"model": 1}, "model"), ({"voice": ["one"]}, "voice"), ({"voice": 1}, "voice"),
    ({"response_format": ["wav"]}, "response_format"), ({"response_format": True}, "response_format"),
    ({"stream_format": ["sse"]}, "stream_format"), ({"instructions": ["x"]}, "instructions"),
    ({"keep_alive": "5"}, "keep_alive"), ({"keep_alive": False}, "keep_alive"),
    # Options of the binding's own.
    ({"loud": "true"}, "loud"), ({"loud": 1}, "loud"), ({"seed": "5"}, "seed"), ({"seed": True}, "seed"),
    ({"n": ["1"]}, "n"), ({"n": 1.5}, "n"), ({"width": {"w": 1}}, "width"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param"), SPEAKING, ids=[json.dumps(body) for body, _ in SPEAKING])
def test_another_type_is_refused_by_name(server: Server, body: dict[str, Any], param: str) -> None:
    began = server.counted.count("began")
    reply = server.ask("POST", SPEECH, {"model": "counting", "input": "hello", **body})
    assert (reply.status, reply.error["type"], reply.error["param"]) == (400, "invalid_request_error", param)
    assert server.counted.count("began") == began


HEARD: list[tuple[dict[str, Any], str]] = [
    ({"stream": "true"}, "stream"), ({"stream": 1}, "stream"), ({"temperature": "0.5"}, "temperature"),
    ({"temperature": True}, "temperature"), ({"language": ["en"]}, "language"), ({"languages": "en"}, "languages"),
    ({"timestamp_granularities": "word"}, "timestamp_granularities"), ({"prompt": ["x"]}, "prompt"),
    ({"keywords": "x"}, "keywords"), ({"include": "logprobs"}, "include"), ({"input_audio": "x"}, "input_audio"),
    ({"input_audio": [1]}, "input_audio"), ({"chunking_strategy": 5}, "chunking_strategy"),
    ({"said": ["x"]}, "said"), ({"said": 5}, "said"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "param"), HEARD, ids=[json.dumps(body) for body, _ in HEARD])
def test_another_type_is_refused_where_it_is_written_down(server: Server, body: dict[str, Any], param: str) -> None:
    audio = {"data": base64.b64encode(WAV).decode(), "format": "wav"}
    assert server.ask("POST", HEARING, {"input_audio": audio, "said": "yes"}).json["text"] == "yes"
    reply = server.ask("POST", HEARING, {"input_audio": audio, **body})
    assert (reply.status, reply.error["param"]) == (400, param)


def test_whole_numbers_are_numbers_and_null_is_left_out(server: Server) -> None:
    body = {"model": "counting", "input": "hello", "response_format": "wav", "keep_alive": 5, "n": 1, "loud": False,
            "speed": None, "voice": None, "seed": None, "instructions": None}  # fmt: skip
    assert server.ask("POST", SPEECH, body).status == 200


def test_the_texts_of_a_form_are_read(server: Server) -> None:
    fields = {"said": "5", "temperature": "0", "stream": "false", "keep_alive": "5", "file": ("a.wav", WAV),
              "languages[]": "en", "response_format": "text"}  # fmt: skip
    body, headers = form(fields)
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.body) == (200, b"5\n")


@pytest.mark.parametrize(
    "body", [{"timeout": "5"}, {"timeout": True}, {"keep_alive": "5"}, {"arguments": "{}"}, {"arguments": ["{}"]}]
)
def test_our_own_surface_takes_it_at_its_word_too(server: Server, body: dict[str, Any]) -> None:
    path = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
    reply = server.ask("POST", path, {"arguments": {"text": "hello"}, **body})
    assert (reply.status, reply.error["param"]) == (400, next(iter(body)))


def test_a_request_id_that_comes_twice_is_nobodys(server: Server) -> None:
    head = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert server.send(f"{head}X-Request-Id: mine\r\n\r\n".encode()).headers["x-request-id"] == "mine"
    for ids in (("a", "b"), ("same", "same"), ("", "b")):
        said = "".join(f"X-Request-Id: {one}\r\n" for one in ids)
        told = server.send(f"{head}{said}\r\n".encode()).headers["x-request-id"]
        assert told.startswith("req_")


def test_an_upload_is_told_of_without_the_file_that_it_is_kept_in(server: Server) -> None:
    for data in (b"no sound at all", b"RIFF\x10\0\0\0WAVEfmt ", b"fLaC" + bytes(40), b"ID3" + bytes(200)):
        body, headers = form({"file": ("my.mp3", data)})
        for path in (HEARING, "/lollms/v2/bindings/stt/ears/verbs/transcribe_audio"):
            if path != HEARING:
                body, headers = form({"audio_path": ("my.mp3", data), "arguments": "{}"})
            reply = server.ask("POST", path, body, headers)
            assert (reply.status, reply.error["code"]) == (400, "invalid_media")
            assert "upload-" not in reply.body.decode()
            assert "lollms-serve" not in reply.body.decode()


def test_what_a_field_holds_is_told_of_that_field(server: Server) -> None:
    for text in ("", " ", "\0", "\u200b", "..."):
        reply = server.ask("POST", SPEECH, {"model": "counting", "input": text})
        assert (reply.status, reply.error["param"]) == (400, "input")
    path = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
    reply = server.ask("POST", path, {"arguments": {"text": ""}})
    assert (reply.status, reply.error["param"]) == (400, "text")


@pytest.mark.parametrize("arguments", [{"text": ["hello"]}, {"text": "hello", "output_format": ["wav"]},
                                       {"text": "hello", "seed": ["5"]}, {"text": "hello", "voice": ["one"]}])  # fmt: skip
def test_a_list_with_a_text_is_no_text(server: Server, arguments: dict[str, Any]) -> None:
    path = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
    began = server.counted.count("began")
    assert server.ask("POST", path, {"arguments": arguments}).status == 400
    assert server.counted.count("began") == began


def test_a_body_is_sent_as_it_is_and_its_length_told_once(server: Server) -> None:
    body = json.dumps({"model": "counting", "input": "hello", "response_format": "wav"}).encode()
    head = "POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    plain = f"{head}Content-Length: {len(body)}\r\n"
    began = server.counted.count("began")
    for more, status in (("Content-Encoding: gzip\r\n", 415), ("Content-Encoding: br, gzip\r\n", 415),
                         ("Transfer-Encoding: chunked\r\n", 400), ("Content-Type: text/plain\r\n", 400)):  # fmt: skip
        reply = server.send(f"{plain}{more}\r\n".encode() + body)
        assert (reply.status, reply.error["type"]) == (status, "invalid_request_error"), more
    assert server.counted.count("began") == began
    twice = "Content-Type: application/json\r\n"  # which says nothing else
    for more, before in (("Content-Encoding: identity\r\n", b""), ("", b"\xef\xbb\xbf"), (twice, b"")):
        sent = before + body
        assert server.send(f"{head}Content-Length: {len(sent)}\r\n{more}\r\n".encode() + sent).status == 200


def test_of_what_only_the_head_is_asked_for_only_the_head_comes(server: Server) -> None:
    request = "{} /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with server.connect() as connection:
        connection.sendall((request.format("HEAD") + request.format("GET")).encode())
        head = b""
        while head.count(b"\r\n\r\n") < 2 or not head.endswith(b"}"):
            part = connection.recv(65536)
            assert part, "cut"
            head += part
    first, _, second = head.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert json.loads(second.partition(b"\r\n\r\n")[2])["object"] == "list"


def test_the_versions_are_told_by_which_a_client_knows_what_it_may_ask_for(server: Server) -> None:
    told = server.ask("GET", "/lollms/v2").json
    assert told["contract"] == CONTRACT_VERSION == ".".join(version("lollms-modalities-core").split(".")[:2])
    spoken, known = (tuple(map(int, said.split("."))) for said in (told["worker_protocol"], PROTOCOL_VERSION))
    assert spoken[0] == known[0]
    assert spoken <= known
    assert told["version"] == version("lollms-server")
