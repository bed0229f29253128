"""What such servers let through: each hole with its input, over a real socket."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from lollms_modalities import encode_audio
from lollms_server.web.guard import Guard, Headers
from lollms_server.web.settings import WebSettings
from serving import SERVE, Server, form, models, read_reply, server_of, serving
from waiting import wait_until

SPEECH, HEARING = "/v1/audio/speech", "/v1/audio/transcriptions"
CONFIGURATION = SERVE + models(counting="tts", ears="stt") + models("example", blocks="tti")
LIMITS = {
    "json_bytes": 2_000_000, "upload_bytes": 1_000_000, "field_bytes": 100_000, "parts": 50, "audio_seconds": 600.0,
    "pixels": 10_000_000,
}  # fmt: skip


server = server_of(CONFIGURATION, **LIMITS)


@pytest.fixture(scope="module")
def wav() -> bytes:
    import numpy as np

    return encode_audio(np.zeros(8000, np.int16), 8000, "wav")


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """Whatever a test does, the server answers as before, and nothing of it stays on the disk."""
    yield
    assert server.ask("GET", "/health").status == 200
    wait_until(lambda: not server.files())


NAMES = ["../../etc/passwd", "..\\x", "//windows/win.ini", "a\0b", "/etc/hostname", "file:///etc/passwd", "~root/x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_voice_is_one_of_the_list(server: Server, name: str) -> None:
    began = server.counted.count("began")
    for voice in (name, {"id": name}):
        reply = server.ask("POST", SPEECH, {"input": "hello", "voice": voice})
        assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "voice_not_found", "voice")
    reply = server.ask("POST", "/lollms/v2/bindings/tts/counting/verbs/generate_audio",
                       {"arguments": {"text": "hello", "voice": name}})  # fmt: skip
    assert (reply.status, reply.error["code"]) == (404, "voice_not_found")
    assert server.counted.count("began") == began


@pytest.mark.parametrize("name", [*NAMES, "ears/../../x", "ears//etc/passwd", "ears/small\0"])
def test_a_model_is_one_of_the_list(server: Server, wav: bytes, name: str) -> None:
    reply = server.ask("POST", SPEECH, {"input": "hello", "model": name.replace("ears", "counting")})
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    body, headers = form({"model": name, "file": ("a.wav", wav)})
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("tail", ["x\r\nSet-Cookie: a=b", "\0", "x ", "é\u2028", "x" * 5000])
def test_an_alias_adds_no_header(server: Server, wav: bytes, tail: str) -> None:
    body, headers = form({"model": f"gpt-4o-transcribe-{tail}", "file": ("a.wav", wav)})
    heard = server.ask("POST", HEARING, body, headers)
    for reply in (server.ask("POST", SPEECH, {"input": "hello", "model": f"tts-1-{tail}"}), heard):
        assert reply.status == 200
        assert "set-cookie" not in reply.headers
        assert reply.headers["x-lollms-alias"].isascii()
        assert len(reply.headers["x-lollms-alias"]) <= 200


@pytest.mark.parametrize("voice", [{"id": "low"}, ["low", "../x"], 5, True, 0.5])
def test_a_name_is_a_text(server: Server, voice: object) -> None:
    began = server.counted.count("began")
    reply = server.ask("POST", "/lollms/v2/bindings/tts/counting/verbs/generate_audio",
                       {"arguments": {"text": "hello", "voice": voice}})  # fmt: skip
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_option", "voice")
    assert server.counted.count("began") == began


@pytest.mark.parametrize(
    "voice", [{}, {"id": ""}, {"id": None}, {"name": "low"}, {"id": ["low"]}, {"id": {"id": "low"}}, 5, ["low", "high"]]
)
def test_a_voice_without_a_name_is_not_the_default_one(server: Server, voice: object) -> None:
    reply = server.ask("POST", SPEECH, {"input": "hello", "voice": voice})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_value", "voice")


@pytest.mark.parametrize("tail", ["nope", "..%2F..%2Fetc%2Fpasswd", "%00", "a/b"])
def test_a_model_of_a_binding_is_one_of_its_list(server: Server, tail: str) -> None:
    for name in ("counting", "ears", "blocks"):
        assert server.ask("GET", f"/v1/models/{name}/{tail}").status == 404


def test_a_query_has_so_many_fields(server: Server) -> None:
    reply = server.ask("GET", "/v1/audio/voices?" + "&".join(f"a{n}=1" for n in range(60)))
    assert (reply.status, reply.error["code"]) == (400, "invalid_query")


@pytest.mark.parametrize(
    ("given", "ignored"),
    [
        ({"chunking_strategy": "auto"}, None), ({"chunking_strategy": '{"type": "server_vad"}'}, "chunking_strategy"),
        ({"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.5"}, "chunking_strategy"),
        ({"include[]": "logprobs"}, "include"), ({"stream": "true", "include": "logprobs"}, "include"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_told(server: Server, wav: bytes, given: dict[str, str], ignored: str | None) -> None:
    body, headers = form({**given, "file": ("a.wav", wav)})
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.headers.get("x-lollms-ignored")) == (200, ignored)


def test_of_several_languages_none_is_taken_and_that_is_told(server: Server, wav: bytes) -> None:
    audio = {"data": base64.b64encode(wav).decode()}
    reply = server.ask("POST", HEARING, {"input_audio": audio, "languages": ["en", "de"]})
    assert (reply.status, reply.headers.get("x-lollms-ignored")) == (200, "languages")


@pytest.mark.parametrize("arguments", [[], [1], ["{}"], "{}", 5, False])
def test_arguments_are_an_object(server: Server, arguments: object) -> None:
    reply = server.ask("POST", "/lollms/v2/bindings/tts/counting/verbs/generate_audio", {"arguments": arguments})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_value", "arguments")


@pytest.mark.parametrize("path", ["..%2Fx", "%2Fetc%2Fpasswd", "..%5Cx", "%00", "a%2Fb%2Fc", "..", "%2e%2e/x"])
def test_a_path_names_nothing(server: Server, path: str) -> None:
    for route in (f"/v1/models/{path}", f"/lollms/v2/bindings/tts/{path}"):
        assert server.ask("GET", route).status == 404
    assert server.ask("DELETE", f"/lollms/v2/calls/{path}").status in (404, 405)


@pytest.mark.parametrize("language", ["../x", "en/../../x", "e" * 100, "en\0", "/etc"])
def test_a_language_is_a_tag(server: Server, wav: bytes, language: str) -> None:
    body, headers = form({"language": language, "file": ("a.wav", wav)})
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.error["param"]) == (400, "language")


ADDRESSES = ["/etc/hostname", "file:///etc/passwd", "http://0x7f.1/", "http://127。0。0。1/", "http://127.0.0.1\\@example.com/",
             "http://[::ffff:7f00:1]/", "data:audio/wav,x", "data:;base64,!!"]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_path_and_no_address_is_opened(server: Server, address: str) -> None:
    body, headers = form({"file": address})
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.error["code"]) == (400, "missing_file")
    reply = server.ask("POST", HEARING, {"input_audio": {"data": address}})
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")
    reply = server.ask("POST", "/lollms/v2/bindings/stt/ears/verbs/transcribe_audio",
                       {"arguments": {"audio_path": address}})  # fmt: skip
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")
    reply = server.ask("POST", "/lollms/v2/bindings/tti/blocks/verbs/edit_images",
                       {"arguments": {"images": [address], "prompt": "x", "mask": address}})  # fmt: skip
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")


def test_what_comes_beyond_the_limit_is_refused_while_it_comes(server: Server) -> None:
    head = (
        f"POST {HEARING} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    sent = 0
    with server.connect() as connection:
        connection.sendall(head.encode() + f"{len(start):x}\r\n".encode() + start + b"\r\n")
        chunk = bytes(65536)
        connection.settimeout(0.001)
        answer = b""
        while sent < 10_000_000_000 and not answer:
            connection.settimeout(30)
            connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            sent += len(chunk)
            connection.settimeout(0.001)
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 100_000_000


def test_what_announces_too_much_is_refused_before_it_comes(server: Server) -> None:
    for path, kind in ((SPEECH, "application/json"), (HEARING, "multipart/form-data; boundary=b")):
        reply = server.send(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            "Content-Length: 10000000000\r\n\r\n".encode()
        )  # fmt: skip
        assert (reply.status, reply.error["code"]) == (413, "too_large")


NUMBERS = [
    '{"input":"x","n":1000000000}', '{"input":"x","seed":1180591620717411303424}', '{"input":"x","speed":1e400}',
    '{"input":"x","speed":NaN}', '{"input":"x","speed":-Infinity}', '{"input":"x","width":1000000}',
    '{"input":"x","n":1e300}', '{"input":"x","speed":1e9}', '{"input":"x","seed":-9223372036854775809}',
    '{"input":"x","seed":' + "9" * 5000 + "}", '{"input":"x","keep_alive":1e18}',
]  # fmt: skip


@pytest.mark.parametrize("body", NUMBERS, ids=range(len(NUMBERS)))
def test_every_number_has_a_ceiling(server: Server, body: str) -> None:
    began = server.counted.count("began")
    reply = server.ask("POST", SPEECH, body.encode(), {"Content-Type": "application/json"})
    assert reply.status == 400
    assert reply.error["message"]
    assert server.counted.count("began") == began


@pytest.mark.parametrize(
    "size", [("width", 1_000_000), ("height", 10**9), ("num_inference_steps", 10**9), ("seed", 2**70)]
)
def test_an_image_has_ceilings_too(server: Server, size: tuple[str, int]) -> None:
    reply = server.ask("POST", "/lollms/v2/bindings/tti/blocks/verbs/generate_image",
                       {"arguments": {"prompt": "x", size[0]: size[1]}})  # fmt: skip
    assert reply.status == 400


DEEP = ["[" * 100_000, '{"a":' * 100_000, '{"input":' + "[" * 40 + "]" * 40 + "}", '{"input": "x"', "", "[]", "null",
        "\xff", '{"input": "\ud800"}']  # fmt: skip


@pytest.mark.parametrize("body", DEEP, ids=range(len(DEEP)))
def test_json_that_is_none_or_too_deep(server: Server, body: str) -> None:
    data = body.encode("latin-1", "replace")
    reply = server.ask("POST", SPEECH, data, {"Content-Type": "application/json"})
    assert reply.status in (400, 413)
    assert reply.error["type"] == "invalid_request_error"


def test_a_bomb_of_sound_is_refused(server: Server) -> None:
    import numpy as np

    bomb = encode_audio(np.zeros(48 * 3600 * 100, np.int16), 100 * 10, "flac")  # 4.8 hours in some kB
    assert len(bomb) < LIMITS["upload_bytes"]
    body, headers = form({"file": ("x.flac", bomb)})
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")
    assert " s long" in reply.error["message"]


def test_a_recording_whose_header_lies_is_heard_as_far_as_it_goes(server: Server, wav: bytes) -> None:
    lying = wav[:4] + struct.pack("<I", 2**32 - 10) + wav[8:40] + struct.pack("<I", 2**32 - 46) + wav[44:]
    body, headers = form({"file": ("x.wav", lying)})
    reply = server.ask("POST", HEARING, body, headers)
    assert reply.status in (200, 400)
    if reply.status == 200:
        assert reply.json["usage"]["seconds"] <= 1.01


def test_a_bomb_of_an_image_is_refused(server: Server) -> None:
    rows = zlib.compress(bytes(30000 * 94), 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    body, headers = form({"images": ("x.png", bomb), "arguments": '{"prompt": "x"}'})
    reply = server.ask("POST", "/lollms/v2/bindings/tti/blocks/verbs/edit_images", body, headers)
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")


def test_a_rate_that_no_sound_has_takes_no_memory(server: Server) -> None:
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, 2**31 - 1, 2**32 - 2, 2, 16)
    body, headers = form({"file": ("x.wav", b"RIFF" + struct.pack("<I", 36 + 200) + b"WAVEfmt " + fmt
                                   + b"data" + struct.pack("<I", 200) + bytes(200))})  # fmt: skip
    reply = server.ask("POST", HEARING, body, headers)
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")


def test_an_image_that_is_a_program_is_not_run(server: Server) -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(%pipe%id) (w) file\n%%EOF\n"
    body, headers = form({"images": ("x.png", program), "arguments": '{"prompt": "x"}'})
    reply = server.ask("POST", "/lollms/v2/bindings/tti/blocks/verbs/edit_images", body, headers)
    assert (reply.status, reply.error["code"]) == (400, "invalid_media")
    assert "Ghostscript" not in reply.error["message"], "nobody has looked for it"
    assert "ValueError" in reply.error["message"]


PEERS = [
    ("10.0.0.9", {"x-forwarded-for": "1.2.3.4"}, "1.2.3.4", False),
    ("10.0.0.9", {"x-forwarded-for": "127.0.0.1, 1.2.3.4, 10.0.0.8"}, "1.2.3.4", False),
    ("10.0.0.9", {"forwarded": "for=1.2.3.4"}, "10.0.0.9", True),
    ("10.0.0.9", {"x-forwarded-proto": "https"}, "10.0.0.9", True),
    ("10.0.0.9", {"x-forwarded-for": "unknown"}, "10.0.0.9", True),
    ("10.0.0.9", {"x-forwarded-for": "::1%" + "x" * 1000}, "10.0.0.9", True),
    ("10.0.0.9", {"x-forwarded-for": "::1"}, "::1", False),
    ("10.0.0.9", {"x-forwarded-for": "1.2.3.4, _hidden"}, "10.0.0.9", True),
    ("10.0.0.9", {}, "10.0.0.9", True),
    ("1.1.1.1", {}, "1.1.1.1", False),
    ("1.1.1.1", {"x-forwarded-for": "127.0.0.1"}, "1.1.1.1", True),
]


@pytest.mark.parametrize(("peer", "said", "address", "forwarded"), PEERS, ids=range(len(PEERS)))
def test_a_trusted_proxy_says_for_whom_it_asks(peer: str, said: dict[str, str], address: str, forwarded: bool) -> None:
    guard = Guard(WebSettings(trusted_proxies=("10.0.0.0/8",)))
    scope = {"client": (peer, 1), "headers": [(name.encode(), value.encode()) for name, value in said.items()]}
    assert guard.address(scope, Headers(scope)) == address
    assert guard.forwarded(scope, Headers(scope)) is forwarded


def test_what_is_no_sound_is_told(server: Server) -> None:
    for data in (b"no sound", b"RIFF\0\0\0\0WAVE", b"\x89PNG\r\n\x1a\n", bytes(1000), b"<svg onload=x>"):
        body, headers = form({"file": ("x.mp3", data)})
        reply = server.ask("POST", HEARING, body, headers)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_media", "file")


def test_a_form_has_so_many_parts(server: Server) -> None:
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n\r\n' for n in range(10_000))
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = server.ask("POST", HEARING, parts.encode() + b"--b--\r\n", headers)
    assert (reply.status, reply.error["code"]) == (413, "too_large")


BROKEN_FORMS = [
    b"--b\r\nX-Big: " + b"x" * 1_000_000 + b"\r\n\r\n\r\n--b--\r\n",  # a header of 1 MB
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc',  # no closing boundary
    b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + b"x" * 200_000 + b"\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="' + b"n" * 2000 + b'"\r\n\r\nx\r\n--b--\r\n',
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\xfe\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--b--\r\n',
    b"\r\n" * 1000, b"no form at all", b"",
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN_FORMS, ids=range(len(BROKEN_FORMS)))
def test_a_form_that_is_none_is_refused(server: Server, data: bytes) -> None:
    reply = server.ask("POST", HEARING, data, {"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status in (400, 413)
    assert reply.error["type"] == "invalid_request_error"


def test_a_form_needs_a_boundary_that_is_one(server: Server) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'b' * 500}"):
        assert server.ask("POST", HEARING, b"--b--\r\n", {"Content-Type": kind}).status == 400


def test_a_client_names_no_file(server: Server, wav: bytes) -> None:
    for name in ("../../x", "/etc/passwd", "a\\..\\b", "x" * 3000):
        body, headers = form({"file": (name, wav)})
        assert server.ask("POST", HEARING, body, headers).status == 200
    folders = list(server.uploads.iterdir())
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700]


def test_a_request_line_reaches_its_route_only(server: Server) -> None:
    def status(first: str, host: str = "127.0.0.1") -> int:
        return server.send(f"{first}\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()).status

    assert status("GET @x HTTP/1.1") == 404
    assert status("GET http://evil.example/v1/models HTTP/1.1") == 404
    assert status("GET //v1/models HTTP/1.1") == 404
    assert status("GET /v1/models HTTP/1.1", "a/?x=") == 403
    assert status("GET /metrics?/health HTTP/1.1") == 403
    assert status("GET /v1/models?x=/../../health HTTP/1.1") == 200
    assert status("PUT /health HTTP/1.1") == 405


def test_ranges_are_not_looked_at(server: Server) -> None:
    ranges = ",".join(f"{n}-{n}" for n in range(5000))
    assert server.ask("GET", "/v1/models", headers={"Range": f"bytes={ranges}"[:20_000]}).status == 200


def test_headers_have_an_end(server: Server) -> None:
    with suppress(ConnectionError):  # it need not be read to its end
        server.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n")
    for size in (50_000, 100_000):
        reply = server.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * size + b"\r\n\r\n")
        assert (reply.status, reply.error["type"]) in ((400, "invalid_request_error"), (431, "invalid_request_error"))
    many = "".join(f"X{n}: 1\r\n" for n in range(1000))
    assert server.send(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n".encode()).status == 431
    for data in (b"\x16\x03\x01 TLS", b"GET / HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        assert server.send(data + b"\r\n\r\n").status == 400


HOSTS = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "[::2]", "",
         "a b", "127.0.0.1:1:2", "0x7f.1", "2130706433"]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_not_allowed_is_not_answered(server: Server, host: str) -> None:
    reply = server.ask("GET", "/v1/models", headers={"Host": host})
    assert reply.status in (400, 403)
    assert "data" not in reply.json


def test_the_names_of_this_machine_are_answered(server: Server) -> None:
    for host in (f"127.0.0.1:{server.port}", "localhost", f"LOCALHOST:{server.port}", "[::1]:1", "localhost."):
        assert server.ask("GET", "/v1/models", headers={"Host": host}).status == 200


ORIGINS = ["null", "http://evil.example", "https://127.0.0.1.evil.example", "http://127.0.0.1:1", "file://", "x"]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=b", "application/json", ""])
def test_a_page_of_another_site_makes_nothing_run(server: Server, wav: bytes, origin: str, kind: str) -> None:
    began, heard = server.counted.count("began"), server.counted.count("heard")
    reply = server.ask("POST", SPEECH, b'{"input": "hello"}', {"Content-Type": kind, "Origin": origin})
    assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in reply.headers
    body, headers = form({"file": ("a.wav", wav)})
    assert server.ask("POST", HEARING, body, {**headers, "Origin": origin}).status == 403
    assert (
        server.ask("OPTIONS", SPEECH, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}).status == 403
    )
    assert (server.counted.count("began"), server.counted.count("heard")) == (began, heard)


def test_a_page_that_was_named_asks_and_reads_what_is_told(tmp_path: Path) -> None:
    named = CONFIGURATION.replace("[serve]", '[serve]\norigins = ["https://app.example"]')
    with serving(tmp_path, named) as server:
        origin = {"Origin": "https://app.example"}
        reply = server.ask("POST", SPEECH, {"input": "hello", "model": "tts-1"}, origin)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert "access-control-allow-credentials" not in reply.headers
        told = {name for name in reply.headers if name.startswith("x-lollms-")}
        assert "x-lollms-alias" in told
        assert told <= set(reply.headers["access-control-expose-headers"].split(", "))
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-stainless-os, x-evil"}
        before = server.ask("OPTIONS", SPEECH, headers={**origin, **asked})
        assert (before.status, before.headers["access-control-allow-headers"]) == (204, "x-stainless-os")
        for other in ("https://app.example:444", "http://app.example", "https://a.app.example", "https://app.example."):
            assert server.ask("GET", "/v1/models", headers={"Origin": other}).status == 403


def test_a_body_that_claims_no_json_is_none(server: Server) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = server.ask("POST", SPEECH, b'{"input": "hello"}', {"Content-Type": kind})
        assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")


def test_our_own_page_may_ask(server: Server) -> None:
    reply = server.ask("GET", "/v1/models", headers={"Origin": server.address})
    assert reply.status == 200


PROXIES = [
    "Via",
    "X-Forwarded",
    "X-Original-Host",
    "CF-Connecting-IP",
    "True-Client-IP",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Anything",
    "X-Real-IP",
]


@pytest.mark.parametrize("header", PROXIES)
def test_without_keys_nothing_comes_through_a_proxy(server: Server, header: str) -> None:
    reply = server.ask("POST", SPEECH, {"input": "hello"}, {header: "127.0.0.1"})
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/lollms/v2/bindings/tts/counting/load"), ("POST", "/lollms/v2/bindings/tts/counting/unload"),
        ("PUT", "/lollms/v2/bindings/tts/counting/settings"), ("GET", "/metrics"),
    ],
)  # fmt: skip
def test_what_admins_do_nobody_else_does(server: Server, method: str, path: str) -> None:
    reply = server.ask(method, path, {"settings": {}} if method == "PUT" else None)
    assert (reply.status, reply.error["code"]) == (403, "not_allowed")


def test_text_stays_text_in_events(server: Server, wav: bytes) -> None:
    said = 'a\r\nb|c\n\ndata: {"type":"evil"}\n\n|\u2028d: ping'
    body, headers = form({"stream": "true", "said": said, "file": ("a.wav", wav)})
    reply = server.ask("POST", HEARING, body, headers)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.endswith(b"\n\n")
    events = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: ")]
    assert {event["type"] for event in events} == {"transcript.text.delta", "transcript.text.done"}
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]
    assert 'data: {"type":"evil"}' in events[-1]["text"]


@pytest.mark.parametrize("given", ["a" * 65, "a b", "x\ty", "é", "<svg>", "../x", "", "a;b"])
def test_an_id_is_harmless(server: Server, given: str) -> None:
    reply = server.ask("GET", "/health", headers={"X-Request-ID": given})
    assert reply.headers["x-request-id"].startswith("req_")
    assert server.ask("GET", "/health", headers={"X-Request-ID": "mine-1_2"}).headers["x-request-id"] == "mine-1_2"


def test_an_engines_folders_and_keys_are_not_told(server: Server) -> None:
    for path, body in (
        (SPEECH, {"input": "fail"}),
        ("/lollms/v2/bindings/tts/counting/verbs/generate_audio", {"arguments": {"text": "fail"}}),
    ):
        reply = server.ask("POST", path, body)
        assert (reply.status, reply.error["code"]) == (500, "engine_failed")
        assert reply.headers["x-should-retry"] == "false"
        assert b"/srv" not in reply.body
        assert b"sk-a" not in reply.body


def test_a_damaged_file_of_keys_lets_nobody_in_and_is_logged(server: Server) -> None:
    keys = server.uploads.parent / "keys.json"
    keys.write_text("junk")
    keys.chmod(0o600)
    try:
        reply = server.ask("GET", "/v1/models")
        assert (reply.status, reply.error["code"]) == (500, "misconfigured")
        assert str(keys.parent) not in reply.error["message"]
        wait_until(lambda: f"{keys} is damaged" in server.log.read_text())
    finally:
        keys.unlink()
    assert server.ask("GET", "/v1/models").status == 200


def test_an_empty_answer_is_never_a_good_one(server: Server) -> None:
    for kind in ("audio", "sse"):
        reply = server.ask("POST", SPEECH, {"input": "quiet", "stream_format": kind})
        assert reply.status == 400
        assert reply.error["message"]


def test_every_answer_says_that_it_is_what_it_says(server: Server) -> None:
    for path in ("/health", "/v1/models", "/nothing", "/openapi.json"):
        reply = server.ask("GET", path)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-request-id"]
        assert reply.headers["content-type"] == "application/json"


def test_two_requests_on_one_connection_are_two(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(one)
        assert read_reply(connection).status == 200
        connection.sendall(one)
        assert read_reply(connection).status == 200
    both = io.BytesIO()
    with server.connect() as connection:
        connection.sendall(one + one.replace(b"GET", b"GET", 1).replace(b"1.1\r\n", b"1.1\r\nConnection: close\r\n"))
        while part := connection.recv(65536):
            both.write(part)
    assert both.getvalue().count(b"HTTP/1.1 200") == 2
