"""Who may ask for what, over real sockets: keys and what looks like them, models, quotas, turns, circles of servers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lollms_modalities import Audio
from lollms_server.room.keys import Keys
from serving import Reply, Server, form, serving
from waiting import wait_until

SPEECH = "/v1/audio/speech"
WAV = bytes(Audio.from_pcm(bytes(16000), 8000))
CONFIGURATION = """
[serve]
keys_file = KEYS
open_lists = OPEN
max_queue = 3
[models.counting]
binding = "counting"
modality = "tts"
isolated = false
[models.tone]
binding = "example"
modality = "tts"
isolated = false
[models.ears]
binding = "counting"
modality = "stt"
isolated = false
"""


class Asking:
    """A server, and the keys that were made for it."""

    def __init__(self, server: Server, keys: dict[str, str]) -> None:
        self.server = server
        self.keys = keys

    def ask(self, who: str, method: str, path: str, body: object = None, **headers: str) -> Reply:
        return self.server.ask(method, path, body, {"Authorization": f"Bearer {self.keys[who]}", **headers})

    def speak(self, who: str, text: str, model: str = "counting") -> Reply:
        return self.ask(who, "POST", SPEECH, {"model": model, "input": text, "response_format": "wav"})


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = tmp_path_factory.mktemp("server")
    keys = Keys(folder / "keys.json")
    made = {
        "anna": keys.add("anna", models=("counting",)), "bob": keys.add("bob"), "boss": keys.add("boss", role="admin"),
        "one": keys.add("one", at_once=1), "little": keys.add("little", engine_seconds=0.02),
    }  # fmt: skip
    with serving(folder, CONFIGURATION.replace("OPEN", "false")) as server:
        yield Asking(server, made)


def test_what_is_no_key_lets_nobody_in(asking: Asking) -> None:
    server, key = asking.server, asking.keys["bob"]
    began = server.counted.count("began")
    wrong = ["Bearer é", f"Bearer {key}x", f"Bearer {key[:-1]}", f"Bearer {key.upper()}", "Bearer", "Bearer ", key, f"Basic {key}",
             f"Token {key}", "Bearer \xff\xfe", f"Bearer {'x' * 20_000}", f"Bearer {key} {key}", f"Bearer {key},{key}"]  # fmt: skip
    for said in wrong:
        reply = server.ask("POST", SPEECH, {"input": "hello"}, {"Authorization": said})
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key"), said
        assert reply.headers["www-authenticate"] == "Bearer"
        assert key not in reply.body.decode()
    for path in (f"/v1/models?api_key={key}", f"/v1/models?key={key}"):
        assert server.ask("GET", path).status == 401
    for name in ("X-API-Key", "Api-Key", "Cookie", "Proxy-Authorization"):
        assert server.ask("GET", "/v1/models", headers={name: f"Bearer {key}"}).status == 401
    assert server.ask("GET", "/v1/models", headers={"Authorization": f"bearer   {key} "}).status == 200
    assert server.counted.count("began") == began
    assert key not in server.log.read_text()


def test_two_keys_are_none(asking: Asking) -> None:
    good = f"Authorization: Bearer {asking.keys['bob']}\r\n"
    for headers in (good + "Authorization: Bearer x\r\n", good + good, "Authorization: \r\n" + good):
        reply = asking.server.send(f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        assert reply.status in (400, 401)
        assert "data" not in reply.json


def test_of_other_models_a_key_learns_nothing(asking: Asking) -> None:
    assert asking.speak("anna", "hello").status == 200
    assert asking.speak("bob", "hello", "tone").status == 200
    refused = asking.speak("anna", "hello", "tone")
    assert (refused.status, refused.error["code"]) == (404, "model_not_found")
    assert "There are: counting." in refused.error["message"]
    for path in ("/v1/models", "/v1/audio/voices", "/lollms/v2/bindings", "/v1/audio/models"):
        assert "tone" in asking.ask("bob", "GET", path).body.decode()
        assert "tone" not in asking.ask("anna", "GET", path).body.decode()
    for path in ("/v1/models/tone", "/lollms/v2/bindings/tts/tone", "/v1/audio/voices?model=tone"):
        assert asking.ask("anna", "GET", path).status == 404
    body, headers = form({"file": ("a.wav", WAV)})
    assert asking.ask("anna", "POST", "/v1/audio/transcriptions", body, **headers).status == 404


def test_a_key_has_so_many_calls_at_once_and_is_told_when_to_come(asking: Asking) -> None:
    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(asking.speak, "one", "work 200")
        wait_until(lambda: len(json.loads(asking.ask("one", "GET", "/lollms/v2/calls").body)["data"]) == 1)
        refused = asking.speak("one", "hello", "tone")
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["retry-after"]) >= 1
        assert asking.speak("bob", "hello", "tone").status == 200
        (call,) = json.loads(asking.ask("boss", "GET", "/lollms/v2/calls").body)["data"]
        assert asking.ask("bob", "DELETE", f"/lollms/v2/calls/{call['id']}").status == 404, "it is another's"
        assert asking.ask("boss", "DELETE", f"/lollms/v2/calls/{call['id']}").status == 200
        under_way.exception(30)  # its answer was cut, or says so


def test_engine_seconds_are_counted_to_midnight(asking: Asking) -> None:
    assert asking.speak("little", "work 5").status == 200

    def spent() -> bool:
        return asking.speak("little", "work 1").status == 429

    wait_until(spent)
    refused = asking.speak("little", "hello")
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert "today" in refused.error["message"]


def test_keys_take_turns(asking: Asking) -> None:
    server, done, lock = asking.server, list[str](), threading.Lock()

    def speak(who: str, text: str) -> None:
        assert asking.speak(who, text).status == 200
        with lock:
            done.append(who)

    def waiting() -> int:
        rows = json.loads(asking.ask("boss", "GET", "/lollms/v2/bindings").body)["data"]
        return next(int(row["waiting"]) for row in rows if row["name"] == "counting")

    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(speak, "bob", "work 60")]
        wait_until(lambda: any("work 60" in line for line in server.counted.lines()))
        for number, who in enumerate(("bob", "bob", "anna"), 1):  # anna comes last
            calls.append(threads.submit(speak, who, "work 30"))
            wait_until(lambda number=number: waiting() == number)
        full = asking.speak("anna", "hello")
        assert (full.status, full.error["code"]) == (429, "rate_limit_exceeded")
        assert int(full.headers["retry-after"]) >= 1
        for call in calls:
            call.result(60)
    assert done == ["bob", "bob", "anna", "bob"]


@pytest.mark.parametrize(("hops", "status"), [("0", 200), ("1", 200), ("2", 508), ("9", 508), ("", 200), ("x", 200)])
def test_servers_ask_each_other_once(asking: Asking, hops: str, status: int) -> None:
    reply = asking.ask("bob", "POST", SPEECH, {"model": "tone", "input": "hi"}, **{"X-Lollms-Hops": hops})
    assert reply.status == status
    if status == 508:
        assert reply.error["code"] == "loop"
        assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("path", ["/v1/realtime", "/lollms/v2/calls", "/ws", "/"])
def test_a_socket_of_the_webs_kind_opens_nothing(asking: Asking, path: str) -> None:
    for origin in ("", "Origin: http://evil.example\r\n"):
        reply = asking.server.send(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )  # fmt: skip
        assert reply.status in ((403,) if origin else (401, 404))


@pytest.mark.parametrize(
    "reference", ["/etc/hostname", "file:///etc/passwd", "http://127.0.0.1/x.wav", "data:audio/wav,x"]
)
def test_a_recording_of_a_speaker_is_no_path(asking: Asking, reference: str) -> None:
    body, headers = form({"file": ("a.wav", WAV), "response_format": "diarized_json", "known_speaker_names[]": "ann",
                          "known_speaker_references[]": reference})  # fmt: skip
    reply = asking.ask("bob", "POST", "/v1/audio/transcriptions", body, **headers)
    assert reply.status == 400
    assert reply.error["param"] == "known_speaker_references"


def test_lists_are_left_open_and_nothing_else(tmp_path: Path) -> None:
    Keys(tmp_path / "keys.json").add("anna")
    with serving(tmp_path, CONFIGURATION.replace("OPEN", "true")) as server:
        for path in ("/v1/models", "/v1/models/tone", "/v1/audio/voices", "/v1/audio/models", "/lollms/v2/bindings"):
            assert server.ask("GET", path).status == 200
        for path in ("/lollms/v2/bindings/tts/tone", "/lollms/v2/calls", "/metrics"):
            assert server.ask("GET", path).status == 401
        assert server.ask("POST", SPEECH, {"input": "hi"}).status == 401
        assert server.ask("GET", "/v1/models", headers={"Authorization": "Bearer wrong"}).status == 401
