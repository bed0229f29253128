"""What a hostile client may try at ``/lollms/v2/worker``, frame by frame: nothing of it is run, and the server goes on."""

from __future__ import annotations

import json
import pickle
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_modalities import Audio, LollmsTTSBindingManager
from lollms_server.room.keys import Keys
from serving import SERVE, Server, models, serving
from waiting import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PATH = "/lollms/v2/worker"
WAV = bytes(Audio.from_samples(np.sin(np.arange(8000) / 9), 16000))
CONFIGURATION = f"""
{SERVE}
{models(counting="tts", ears="stt")}
[models.elsewhere]
binding = "counting"
modality = "tts"
place = "http://127.0.0.1:9"
{models("example", hearing="stt")}
"""
LIMITS = {
    "unread_seconds": 2.0, "upload_bytes": 2_000_000, "session_calls": 8, "caller_sessions": 6, "hello_seconds": 3.0,
    "ping_seconds": 2.0, "header_seconds": 3.0,
}  # fmt: skip


class Raw:
    """A session, spoken by hand."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    def frame(self, message: Any, payload: bytes = b"", text: bytes | None = None) -> bytes:
        said = json.dumps(message).encode() if text is None else text
        return struct.pack(">II", len(said), len(payload)) + said + payload

    def say(self, message: Any, payload: bytes = b"") -> None:
        self.link.send(self.frame(message, payload))

    def hear(self) -> tuple[dict[str, Any], bytes]:
        """The next message and its payload."""
        frame = self.link.recv(timeout=20)
        assert isinstance(frame, bytes)
        size, _ = struct.unpack_from(">II", frame)
        return json.loads(frame[8 : 8 + size]), frame[8 + size :]

    def error(self, number: int) -> dict[str, Any]:
        """The error that ends an exchange."""
        while True:
            message, _ = self.hear()
            if message["id"] == number and message["type"] in ("error", "result"):
                assert message["type"] == "error", message
                error: dict[str, Any] = message["error"]
                return error

    def result(self, number: int) -> Any:
        while True:
            message, _ = self.hear()
            if message["id"] == number and message["type"] in ("error", "result"):
                assert message["type"] == "result", message
                return message["value"]

    def make(self, name: str = "counting", modality: str = "tts") -> None:
        """Until there is a binding; its exchanges are 1 and 2."""
        self.say(
            {"type": "hello", "id": 1, "protocol": 1, "minor": 3, "core": "2.0.0", "modality": modality, "name": name}
        )
        assert self.hear()[0]["type"] == "ready"
        self.say({"type": "make", "id": 2, "settings": {}, "shared": {}, "variables": {"LD_PRELOAD": "x"}})
        assert self.hear()[0]["type"] == "ready"

    def call(self, number: int, verb: str = "generate_audio", payload: bytes = b"", **more: Any) -> None:
        fields: dict[str, Any] = {"arguments": {"text": "hello"}, **more}
        self.say({"type": "call", "id": number, "name": verb, **fields}, payload)

    def closed(self) -> tuple[int, str]:
        """With what it was closed."""
        while True:
            try:
                self.link.recv(timeout=20)
            except ConnectionClosed as exc:
                return (1006, "") if exc.rcvd is None else (exc.rcvd.code, exc.rcvd.reason)


class Hostile:
    """A server, and sessions with it."""

    def __init__(self, server: Server, keys: Keys, made: dict[str, str]) -> None:
        self.server, self.keys, self.made = server, keys, made

    @contextmanager
    def raw(self, who: str = "anna", **more: Any) -> Iterator[Raw]:
        headers = {"Authorization": f"Bearer {self.made[who]}"} if who else {}
        headers |= more.pop("headers", {})
        options: dict[str, Any] = {
            "compression": None,
            "ping_interval": None,
            "close_timeout": 2,
            "proxy": None,
            **more,
        }
        with connect(f"ws://127.0.0.1:{self.server.port}{PATH}", additional_headers=headers, **options) as link:
            yield Raw(link)

    def refused(self, who: str = "anna", path: str = PATH, **headers: str) -> tuple[int, dict[str, Any]]:
        """The status and the error of a handshake."""
        given = {"Authorization": f"Bearer {self.made[who]}"} if who else {}
        uri = f"ws://127.0.0.1:{self.server.port}{path}"
        with pytest.raises(InvalidStatus) as found, connect(uri, additional_headers=given | headers, proxy=None):
            pass
        error: dict[str, Any] = json.loads(found.value.response.body)["error"]
        return found.value.response.status_code, error


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    folder = tmp_path_factory.mktemp("server")
    keys = Keys(folder / "keys.json")
    made = {"anna": keys.add("anna"), "bob": keys.add("bob"), "few": keys.add("few", models=("ears",))}
    with serving(folder, CONFIGURATION, **LIMITS) as running:
        yield Hostile(running, keys, made)


@pytest.fixture(autouse=True)
def unharmed(hostile: Hostile) -> Iterator[None]:
    """Whatever a test does, others are served as before, and nothing of it stays."""
    yield
    server = hostile.server
    wait_until(lambda: not server.files())
    headers = {"Authorization": f"Bearer {hostile.made['bob']}"}
    wait_until(lambda: not server.ask("GET", "/lollms/v2/calls", headers=headers).json["data"])
    with hostile.raw("bob") as raw:
        raw.make()
        raw.call(3)
        assert raw.result(3)
    assert "Traceback" not in server.log.read_text()


def test_who_may_come_in(hostile: Hostile) -> None:
    assert hostile.refused("")[0] == 401
    for said in ("Bearer wrong", "Basic x", "Bearer ", "Bearer é"):
        status, error = hostile.refused("", Authorization=said)
        assert (status, error["code"]) == (401, "invalid_api_key")
    assert hostile.refused(Origin="https://evil.example")[0] == 403
    assert hostile.refused(Origin="null")[0] == 403
    assert hostile.refused(Origin=f"http://127.0.0.1:{hostile.server.port}")[0] == 403  # our own page neither
    assert hostile.refused(path="/v1/audio/speech")[0] == 404
    assert hostile.refused(path=f"{PATH}/../worker")[0] == 404
    assert hostile.refused(path=f"{PATH}?key={hostile.made['anna']}", who="")[0] == 401


def test_the_host_is_one_of_ours(hostile: Hostile) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost:1@evil.example"):
        reply = hostile.server.send(
            f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Authorization: Bearer {hostile.made['anna']}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert reply.status in (400, 403), host


FRAMES: dict[str, Callable[[Raw], bytes | str]] = {
    "text": lambda raw: "hello",
    "empty": lambda raw: b"",
    "short": lambda raw: b"\0\0\0",
    "lies": lambda raw: struct.pack(">II", 10, 0) + b"{}",
    "large": lambda raw: struct.pack(">II", 2**32 - 1, 0) + b"{}",
    "payload": lambda raw: struct.pack(">II", 2, 2**32 - 1) + b"{}",
    "pickle": lambda raw: raw.frame(None, text=pickle.dumps({"type": "call"})),
    "no JSON": lambda raw: raw.frame(None, text=b"{'type': 'call'}"),
    "no object": lambda raw: raw.frame([1, 2]),
    "no UTF-8": lambda raw: raw.frame(None, text=b'{"type": "\xff"}'),
    "deep": lambda raw: raw.frame(None, text=b'{"type": "call", "id": 3, "name": "x", "arguments": ' + b"[" * 200_000),
    "no type": lambda raw: raw.frame({"id": 3}),
    "unknown type": lambda raw: raw.frame({"type": "exec", "id": 3}),
    "a type of other letters": lambda raw: raw.frame({"type": "\u00e9" * 300, "id": 3}),
    "of a worker": lambda raw: raw.frame({"type": "result", "id": 2, "value": 1}),
    "an aligner": lambda raw: raw.frame({"type": "aligner", "id": 2, "distribution": "x", "version": "1"}),
    "no id": lambda raw: raw.frame({"type": "call", "name": "generate_audio", "arguments": {}}),
    "a text as id": lambda raw: raw.frame({"type": "call", "id": "3", "name": "generate_audio", "arguments": {}}),
    "a truth as id": lambda raw: raw.frame({"type": "call", "id": True, "name": "generate_audio", "arguments": {}}),
    "NaN as id": lambda raw: raw.frame(None, text=b'{"type": "bye", "id": NaN}'),
    "a huge id": lambda raw: raw.frame(None, text=b'{"type": "bye", "id": 1' + b"0" * 400_000 + b"}"),
    "a negative id": lambda raw: raw.frame({"type": "bye", "id": -1}),
    "a list as name": lambda raw: raw.frame({"type": "call", "id": 3, "name": ["x"], "arguments": {}}),
    "a list of arguments": lambda raw: raw.frame({"type": "call", "id": 3, "name": "x", "arguments": []}),
    "sizes that lie": lambda raw: raw.frame({"type": "call", "id": 3, "name": "x", "arguments": {}, "sizes": [5]}, b"abc"),
    "negative sizes": lambda raw: raw.frame({"type": "call", "id": 3, "name": "x", "arguments": {}, "sizes": [-5]}, b""),
    "many sizes": lambda raw: raw.frame({"type": "call", "id": 3, "name": "x", "arguments": {}, "sizes": [0] * 1000}),
    "a chunk of nothing": lambda raw: raw.frame({"type": "data", "id": 77}, b"abc"),
    "an item of nothing": lambda raw: raw.frame({"type": "item", "id": 77, "value": 1}),
    "a cancel of nothing": lambda raw: raw.frame({"type": "cancel", "id": 77}),
    "a payload of a cancel": lambda raw: raw.frame({"type": "cancel", "id": 1}, b"abc"),
    "too many taken": lambda raw: raw.frame({"type": "taken", "id": 1, "count": 10**9}),
    "1 MB and more": lambda raw: raw.frame({"type": "call", "id": 3, "name": "x", "arguments": {"text": "x" * 1_000_000}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FRAMES)
def test_what_is_no_message_ends_the_session(hostile: Hostile, kind: str) -> None:
    began = hostile.server.counted.count("began")
    with hostile.raw() as raw:
        raw.make()
        raw.link.send(FRAMES[kind](raw))
        assert raw.closed()[0] == 1008
    assert hostile.server.counted.count("began") == began


def test_a_message_that_is_too_large_is_not_taken_in(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.make()
        with suppress(ConnectionClosed, OSError):
            raw.link.send(bytes(8_000_000))
        assert raw.closed()[0] in (1009, 1006)
    with hostile.raw() as raw:  # nor in fragments
        raw.make()
        with suppress(ConnectionClosed, OSError):
            raw.link.send(iter([bytes(1_000_000)] * 8))
        assert raw.closed()[0] in (1009, 1006)


def test_nothing_is_decompressed(hostile: Hostile) -> None:
    with hostile.raw(compression="deflate") as raw:
        assert not raw.link.protocol.extensions
        raw.make()
    # And a frame that says it is compressed is no frame.
    with hostile.raw() as raw:
        raw.make()
        bomb = zlib.compress(bytes(50_000_000))[2:-4]
        raw.link.socket.sendall(bytes((0xC2, 0xFF)) + struct.pack(">Q", len(bomb)) + bytes(4) + bomb)
        assert raw.closed()[0] in (1002, 1006)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "counting/../ears", "", "a\0b", "x" * 150, "__class__", "file:///etc/passwd"]
)
def test_only_what_is_served_is_there(hostile: Hostile, name: str) -> None:
    with hostile.raw() as raw:
        raw.say({"type": "hello", "id": 1, "protocol": 1, "minor": 3, "modality": "stt", "name": name or "nothing"})
        assert raw.error(1)["types"][0].endswith("BindingNotFoundError")
    with hostile.raw("few") as raw:
        raw.say({"type": "hello", "id": 1, "protocol": 1, "minor": 3, "modality": "tts", "name": "counting"})
        assert raw.error(1)["types"][0].endswith("BindingNotFoundError")


@pytest.mark.parametrize(
    "verb",
    ["__init__", "_kept", "close", "describe", "load_model", "engine", "list_", "list_dir", "settings", "set_settings.x",
     "agenerate_audio", "stream_encoded", "voice_activity", "__class__", "with_shared", "from_settings"],
)  # fmt: skip
def test_no_other_method_is_called(hostile: Hostile, verb: str) -> None:
    with hostile.raw() as raw:
        raw.make()
        raw.call(3, verb, arguments={})
        assert raw.error(3)["types"][0].endswith("UnsupportedError")


def test_nothing_is_called_before_there_is_a_binding(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.call(3)
        assert "Unsupported" in raw.error(3)["types"][0]
        raw.say({"type": "make", "id": 4, "settings": {}})
        assert "Unsupported" in raw.error(4)["types"][0]
        raw.make()
        raw.say({"type": "hello", "id": 5, "protocol": 1, "minor": 3, "modality": "stt", "name": "ears"})
        assert "Unsupported" in raw.error(5)["types"][0]
    with hostile.raw() as raw:
        assert raw.closed()[0] == 1008  # who never says what for


def test_servers_do_not_ask_each_other_in_a_circle(hostile: Hostile) -> None:
    for hops, name in (("1", "elsewhere"), ("2", "counting")):
        with hostile.raw(headers={"X-Lollms-Hops": hops}) as raw:
            raw.say({"type": "hello", "id": 1, "protocol": 1, "minor": 3, "modality": "tts", "name": name})
            error = raw.error(1)
            assert error["types"][0].endswith("ServiceError")
            assert error["fields"]["status"] == 508
    with hostile.raw(headers={"X-Lollms-Hops": "1"}) as raw:
        raw.make()


PATHS = ["/etc/hostname", "../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x", "~/.ssh/id_rsa", "data:,x"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_opened(hostile: Hostile, path: str) -> None:
    heard = hostile.server.counted.count("heard")
    with hostile.raw() as raw:
        raw.make("ears", "stt")
        for number, value in enumerate(({"$": "path", "path": path}, path, {"url": path}, [path]), 3):
            raw.call(number, "transcribe_audio", arguments={"audio_path": value})
            kind = raw.error(number)["types"][0]
            assert kind.endswith(("OptionError", "MediaError")), value
        raw.call(9, "transcribe_audio", arguments={"audio_path": {"$": "bytes", "at": 0}, "output_path": path},
                 payload=WAV, sizes=[len(WAV)])  # fmt: skip
        assert raw.error(9)["types"][0].endswith("OptionError")
    assert hostile.server.counted.count("heard") == heard


VALUES: list[Any] = [
    {"$": "value", "of": "pattern", "text": '["(a+)+$", 0, false]'}, {"$": "value", "of": "zone", "text": "../../etc/passwd"},
    {"$": "pairs", "items": [[1, 2]]}, {"$": "Provenance", "fields": {}}, {"$": "nothing"}, {"$": ["x"]}, {"$": None, "a": 1},
    {"$": "bytes", "at": 0}, {"$": "bytes", "at": 10**9}, {"$": "bytes", "at": -1}, {"$": "bytes", "at": True}, {"$": "bytes"},
    {"$": "Audio", "at": "x", "state": {"__class__": 1}}, {"$": "tuple", "items": 3}, {"$": "dict", "items": [1]},
    "a\ud800b", ["a\ud800b"], 10**30, float("nan"), float("inf"), [[[[[[[[[[[[[]]]]]]]]]]]]], ["x"] * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value)[:30])
def test_odd_values_are_refused_and_the_session_goes_on(hostile: Hostile, value: Any) -> None:
    with hostile.raw() as raw:
        raw.make()
        raw.call(3, arguments={"text": "hello", "n": value})
        assert raw.error(3)["types"][0].endswith("OptionError")
        raw.call(4, arguments={"text": value})
        assert raw.error(4)["types"][0].endswith(("OptionError", "MediaError"))
        raw.call(5)
        assert raw.result(5)["$"] == "Audio"


def test_deep_values_are_refused(hostile: Hostile) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    with hostile.raw() as raw:
        raw.make()
        raw.call(3, arguments={"text": "hello", "n": deep})
        assert raw.error(3)["types"][0].endswith("OptionError")


def test_an_id_that_is_under_way_is_not_begun_again(hostile: Hostile) -> None:
    counted, began = hostile.server.counted, hostile.server.counted.count("began")
    with hostile.raw() as raw:
        raw.make()
        raw.call(3, arguments={"text": "work 3000"})
        wait_until(lambda: counted.count("began") > began)
        raw.call(3)
        assert raw.closed() == (1008, "an exchange begins that is under way")
    wait_until(lambda: counted.lines()[-1].startswith("cancelled"))
    assert counted.count("began") == began + 1


def test_sessions_cannot_cancel_each_others_calls(hostile: Hostile) -> None:
    counted, began = hostile.server.counted, hostile.server.counted.count("began")
    with hostile.raw() as mine, hostile.raw("bob") as other:
        mine.make()
        other.make()
        mine.call(7, arguments={"text": "work 100"})
        wait_until(lambda: counted.count("began") > began)
        other.say({"type": "cancel", "id": 7})
        assert other.closed()[0] == 1008  # there is no such exchange there
        assert mine.result(7)["$"] == "Audio"


def test_ten_thousand_exchanges(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.make()

        def send() -> None:
            for number in range(3, 10_003):
                raw.call(number, arguments={"text": "work 5"})

        sending = threading.Thread(target=send)
        sending.start()
        ended, refused = 0, 0
        while ended < 10_000:
            message, _ = raw.hear()
            ended += message["type"] in ("result", "error")
            refused += message["type"] == "error"
        sending.join()
        assert refused > 0
        raw.call(20_000)
        assert raw.result(20_000)


def test_sessions_are_bounded(hostile: Hostile) -> None:
    with suppress(InvalidStatus):
        links = []
        try:
            for _ in range(10):
                session = hostile.raw()
                session.__enter__()
                links.append(session)
        finally:
            count = len(links)
            for session in links:
                session.__exit__(None, None, None)
    assert count == LIMITS["caller_sessions"]

    def again() -> bool:
        try:
            with hostile.raw():
                return True
        except InvalidStatus as exc:
            return exc.response.status_code != 429

    wait_until(again)


def test_payloads_have_their_caps(hostile: Hostile) -> None:
    heard = hostile.server.counted.count("heard")
    with hostile.raw() as raw:
        raw.make("ears", "stt")
        value = {"audio_path": {"$": "bytes", "at": 0}}
        raw.call(3, "transcribe_audio", arguments=value, sizes=[10**12])
        assert "max_upload" in raw.error(3)["fields"]["hint"]
        raw.call(4, "transcribe_audio", arguments=value, sizes=[1_500_000])
        raw.say({"type": "data", "id": 4}, bytes(1_000_000))
        assert raw.hear()[0] == {"type": "ack", "id": 4}
        wait_until(lambda: len(hostile.server.files()) == 1)
        raw.say({"type": "data", "id": 4}, bytes(1_000_000))  # more than it said
        assert raw.closed()[0] == 1008
    with hostile.raw() as raw:  # who leaves in the middle leaves nothing
        raw.make("ears", "stt")
        raw.call(3, "transcribe_audio", arguments=value, sizes=[1_500_000])
        raw.say({"type": "data", "id": 3}, bytes(1_000_000))
        raw.hear()
    wait_until(lambda: not hostile.server.files())
    assert hostile.server.counted.count("heard") == heard


def test_a_cancel_right_after_the_call(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.make()
        call = raw.frame({"type": "call", "id": 3, "name": "generate_audio", "arguments": {"text": "work 3000"}})
        cancel = raw.frame({"type": "cancel", "id": 3})
        # Both in one packet, so that the server takes them in one after the other.
        masked = b"".join(bytes((0x82, 0xFE)) + struct.pack(">H", len(f)) + bytes(4) + f for f in (call, cancel))
        raw.link.socket.sendall(masked)
        assert raw.error(3)["types"][0].endswith("CallCancelled")


def test_a_cancel_before_the_payload_is_there(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.make("ears", "stt")
        raw.call(3, "transcribe_audio", arguments={"audio_path": {"$": "bytes", "at": 0}}, sizes=[1_200_000])
        raw.say({"type": "cancel", "id": 3})
        raw.say({"type": "data", "id": 3}, bytes(1_200_000))
        assert raw.error(3)["types"][0].endswith("CallCancelled")


def test_items_come_only_when_there_is_room(hostile: Hostile) -> None:
    item = {"$": "AudioChunk", "at": 0, "rate": 16000, "channels": 1, "text": ""}
    with hostile.raw() as raw:
        raw.make("hearing", "stt")
        raw.call(3, "transcribe_live", arguments={}, stream=True)  # without the stream
        assert raw.error(3)["types"][0].endswith("OptionError")
        for number, odd in enumerate(
            ({**item, "rate": 10**12}, {**item, "channels": -1}, {"$": "bytes", "at": 0}, 5), 4
        ):
            raw.call(number, "transcribe_live", arguments={}, stream=True, input="frames")
            raw.say({"type": "item", "id": number, "value": odd, "sizes": [3200]}, bytes(3200))
            assert raw.error(number)["types"][0].endswith(("OptionError", "MediaError"))
        raw.call(9, "transcribe_live", arguments={}, stream=True, input="frames")
        with suppress(ConnectionClosed):
            for _ in range(5000):
                raw.say({"type": "item", "id": 9, "value": item, "sizes": [3200]}, bytes(3200))
        assert raw.closed() == (1008, "more items than there is room for")


@pytest.mark.full
def test_who_takes_nothing_is_left(hostile: Hostile) -> None:
    counted = hostile.server.counted
    with hostile.raw() as raw:  # reads the socket, and says of nothing that it was taken
        raw.make()
        raw.call(3, "stream_audio", arguments={"text": "work 3000 0.001"}, stream=True)
        items = 0
        while (message := raw.hear()[0])["type"] == "item":
            items += 1
        assert items == 32
        assert message["error"]["types"][0].endswith("CallTimeout")
        raw.call(4, arguments={"text": "work 1 300"})
        while (message := raw.hear()[0])["type"] != "error":
            assert message["type"] in ("result", "data")
        assert message["error"]["types"][0].endswith("CallTimeout")
        raw.call(5)
        assert raw.result(5)
    with hostile.raw() as raw:  # nor reads the socket
        raw.make()
        raw.link.recv_flow_control.acquire()
        with suppress(ConnectionClosed, OSError):
            for number in range(3, 3000):
                raw.call(number, arguments={"text": "work 1 16"})
        wait_until(lambda: not _connected(raw))
        raw.link.recv_flow_control.release()
    wait_until(lambda: counted.lines()[-1].split(" ")[0] in ("cancelled", "ended"))


def _connected(raw: Raw) -> bool:
    try:
        raw.link.socket.send(b"\x8a\x80abcd")  # a pong
    except OSError:
        return False
    return True


@pytest.mark.full
def test_half_a_frame_is_not_waited_for_for_ever(hostile: Hostile) -> None:
    with hostile.raw() as raw:
        raw.make()
        raw.link.socket.sendall(b"\x82\xfe\x10\x00abcdhalf")
        assert raw.closed()[0] in (1011, 1006)


def test_a_handshake_that_never_ends(hostile: Hostile) -> None:
    with hostile.server.connect() as connection:
        connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n".encode())
        assert connection.recv(1000) == b""


def test_junk_after_the_handshake(hostile: Hostile) -> None:
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"\x83\x80abcd", b"\x82\x05hello"):
        with hostile.raw() as raw:
            raw.link.socket.sendall(junk)
            assert raw.closed()[0] in (1002, 1007, 1009, 1006, 1008, 1011)


def test_settings_that_name_the_machine(hostile: Hostile, tmp_path: Path) -> None:
    with hostile.raw() as raw:
        raw.make()
        raw.call(3, "set_settings", positional=[{"keep_alive": 1}], arguments={})
        assert raw.error(3)["types"][0].endswith("SettingsError")
        raw.call(4, "keep_voice", positional=["x", {"$": "path", "path": "/etc/passwd"}, "me"], arguments={})
        assert raw.error(4)["types"][0].endswith("OptionError")
        raw.call(5, "keep_voice", positional=["x", "/etc/passwd", "me"], arguments={})
        assert raw.error(5)["types"][0].endswith("OptionError")
        kept = {"$": "bytes", "at": 0}
        for number, (called, consent) in enumerate(
            (("a", "me\ud800"), ("a\ud800", "me"), ("a" * 65, "me"), ("", "me"), ("a\nb", "me"), ("a", "m" * 2000)), 10
        ):
            raw.call(number, "keep_voice", WAV, positional=[called, kept, consent], arguments={}, sizes=[len(WAV)])
            assert raw.error(number)["types"][0].endswith("OptionError"), (called, consent)
        raw.call(6, "get_options", arguments={"verb": "../x"})
        assert "error" in raw.hear()[0]
        raw.call(7, "unload", arguments={})
        assert raw.error(7)["types"][0].endswith("ServiceAuthError")


def test_the_client_does_not_trust_the_server(tmp_path: Path) -> None:
    """A server that answers with something else than a WebSocket, or with frames of any size, is told as such."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:

        def answer() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionError):
            LollmsTTSBindingManager().require_binding("x", place=f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
