"""What Open WebUI (0.12.4) asks of a server with keys, as its own source makes it; its images' engine of AUTOMATIC1111 has a
file of its own. That the program itself is content is shown by soak/open_webui.py."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import Audio
from lollms_server.room.keys import Keys
from serving import SERVE, Server, models, serving

CONFIGURATION = f"""
{SERVE}
open_lists = true
{models(counting="tts", ears="stt", eyes="tti")}
"""
WAV = bytes(Audio.from_pcm(bytes(16000), 8000))


class Asking:
    """A server and the key that Open WebUI was given."""

    def __init__(self, server: Server, key: str) -> None:
        self.server = server
        # With the headers that it adds where users are to be told of.
        self.headers = {"Authorization": f"Bearer {key}", "X-OpenWebUI-User-Name": "An%20na", "X-OpenWebUI-User-Id": "1",
                        "X-OpenWebUI-User-Email": "a@b.example", "X-OpenWebUI-User-Role": "admin"}  # fmt: skip

    def speak(self, text: str, **more: Any) -> Any:
        body = {"input": text, "voice": "alloy", "model": "tts-1", **more}
        return self.server.ask("POST", "/v1/audio/speech", body, self.headers)

    def hear(self, data: bytes, filename: str = "x.mp3", chunk: int = 1000) -> tuple[int, Any]:
        """A form that comes in chunks, without its length, and of which the file has no type but a made-up one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        head = (
            '--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
            "\r\n--b\r\nContent-Type: application/octet-stream\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        )
        whole = head.encode() + data + b"\r\n--b--\r\n"
        parts = (whole[start : start + chunk] for start in range(0, len(whole), chunk))
        headers = {**self.headers, "Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/v1/audio/transcriptions", parts, headers, encode_chunked=True)
        response = connection.getresponse()
        told = json.loads(response.read())
        connection.close()
        return response.status, told


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = tmp_path_factory.mktemp("server")
    key = Keys(folder / "keys.json").add("open-webui")
    with serving(folder, CONFIGURATION) as server:
        yield Asking(server, key)


def test_lists_are_shown_without_the_key(asking: Asking) -> None:
    models = asking.server.ask("GET", "/v1/audio/models").json["models"]
    assert [(row["id"], row["name"]) for row in models] == [("counting", "counting")]
    assert {"counting", "ears", "eyes"} <= {row["id"] for row in asking.server.ask("GET", "/v1/models").json["data"]}
    voices = asking.server.ask("GET", "/v1/audio/voices").json["voices"]
    assert {voice["id"]: voice["name"] for voice in voices} == {"one": "one", "two": "two"}


def test_speech_is_mp3_and_says_so(asking: Asking) -> None:
    reply = asking.speak("hello")
    assert reply.headers["content-type"] == "audio/mpeg"
    assert Audio(reply.body).format == "mp3"


def test_many_short_sentences_at_once_are_all_spoken(asking: Asking) -> None:
    with ThreadPoolExecutor(40) as threads:
        replies = list(threads.map(lambda n: asking.speak(f"work {1 + n % 3}"), range(40)))
    assert {reply.status for reply in replies} == {200}
    assert all(Audio(reply.body).format == "mp3" for reply in replies)


def test_recordings_come_in_parts_at_once_and_without_their_length(asking: Asking) -> None:
    with ThreadPoolExecutor(8) as threads:
        heard = list(threads.map(lambda n: asking.hear(WAV, f"x_chunk_{n}.mp3"), range(8)))
    assert {status for status, _ in heard} == {200}
    assert {told["text"] for _, told in heard} == {"nothing"}


def test_json_in_the_place_of_a_form_is_heard(asking: Asking, tmp_path: Path) -> None:
    import base64

    body = {"model": "whisper-1", "language": "en",
            "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}  # fmt: skip
    assert asking.server.ask("POST", "/v1/audio/transcriptions", body, asking.headers).json["text"] == "nothing"


def test_images_are_as_it_asks(asking: Asking) -> None:
    body = {"model": "dall-e-2", "prompt": "a cat", "n": 2, "size": "64x32", "response_format": "b64_json"}
    told = asking.server.ask("POST", "/v1/images/generations?api-version=2025-01-01", body, asking.headers).json
    assert [sorted(row) for row in told["data"]] == [["b64_json"]] * 2


def test_an_error_is_an_object(asking: Asking) -> None:
    for reply in (asking.speak("hello", voice="nobody"), asking.speak("fail")):
        assert reply.status >= 400
        assert reply.error["message"]
    status, told = asking.hear(b"no sound")
    assert status == 400
    assert told["error"]["message"]
    reply = asking.server.ask("POST", "/v1/audio/speech", {"input": "x"}, {"Authorization": "Bearer "})
    assert (reply.status, bool(reply.error["message"])) == (401, True)
