"""``/v1/realtime``, event by event: what is told, what is refused, and what ends when its client does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from lollms_server.room.keys import Keys
from lollms_server.web.realtime.deltas import Deltas
from lollms_server.web.realtime.setting import Format, ServerVad
from lollms_server.web.realtime.sound import Sound, expanded
from lollms_server.web.realtime.turns import Heard, Turns
from serving import Server, serving
from waiting import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PATH = "/v1/realtime?intent=transcription"
CONFIGURATION = """
[serve]
keys_file = KEYS
origins = ["https://app.example"]
[serve.defaults]
stt = "ears"
[models.ears]
binding = "ears"
isolated = false
[models.other]
binding = "ears"
isolated = false
[models.counting]
binding = "counting"
modality = "tts"
isolated = false
"""
LIMITS = {"unread_seconds": 2.0, "stall_seconds": 0.5, "idle_seconds": 600.0, "caller_sessions": 8}
OF = "conversation.item.input_audio_transcription"
TENTH = bytes(2 * 2400)  # of a second, at 24 kHz


class Client:
    """A session, spoken by hand."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    def say(self, kind: str, **fields: Any) -> None:
        self.link.send(json.dumps({"type": kind, **fields}))

    def sound(self, pcm: bytes) -> None:
        self.say("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    def set(self, **given: Any) -> dict[str, Any]:
        """What a change is answered with."""
        self.say("session.update", event_id="ev1", session={"type": "transcription", "audio": {"input": given}})
        return self.hear()

    def hear(self) -> dict[str, Any]:
        said = self.link.recv(timeout=20)
        event: dict[str, Any] = json.loads(said)
        assert event["event_id"].startswith("event_")
        return event

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """All events up to one of these."""
        found = [self.hear()]
        while found[-1]["type"] not in kinds:
            found.append(self.hear())
        return found

    def error(self) -> dict[str, Any]:
        event = self.hear()
        assert event["type"] == "error", event
        told: dict[str, Any] = event["error"]
        assert set(told) == {"type", "code", "message", "param", "event_id"}
        return told

    def written(self) -> dict[str, Any]:
        """What comes of what was said."""
        self.say("input_audio_buffer.commit")
        return self.until(f"{OF}.completed", f"{OF}.failed")[-1]

    def closed(self) -> int:
        """The code that it was closed with."""
        while True:
            try:
                self.link.recv(timeout=20)
            except ConnectionClosed as exc:
                return 1006 if exc.rcvd is None else exc.rcvd.code


class Place:
    """A server, keys of it, and sessions with it."""

    def __init__(self, server: Server, keys: Keys, made: dict[str, str]) -> None:
        self.server, self.keys, self.made = server, keys, made

    def connect(
        self, who: str, path: str = PATH, headers: dict[str, str] | None = None, **more: Any
    ) -> ClientConnection:
        given = {"Authorization": f"Bearer {self.made[who]}"} if who else {}
        options: dict[str, Any] = {
            "compression": None,
            "ping_interval": None,
            "close_timeout": 2,
            "proxy": None,
            **more,
        }
        uri = f"ws://127.0.0.1:{self.server.port}{path}"
        return connect(uri, additional_headers=given | (headers or {}), **options)

    @contextmanager
    def session(self, who: str = "anna", path: str = PATH, **more: Any) -> Iterator[Client]:
        with self.connect(who, path, **more) as link:
            client = Client(link)
            assert client.hear()["type"] in ("session.created", "transcription_session.created")
            yield client

    @contextmanager
    def manual(self, who: str = "anna", **transcription: Any) -> Iterator[Client]:
        """A session whose client commits."""
        with self.session(who) as client:
            told = client.set(turn_detection=None, transcription=transcription)
            assert told["type"] == "session.updated", told
            yield client

    def refused(self, who: str = "anna", path: str = PATH, **more: Any) -> tuple[int, dict[str, Any]]:
        """The status and the error of a handshake."""
        with pytest.raises(InvalidStatus) as found, self.connect(who, path, **more):
            pass
        error: dict[str, Any] = json.loads(found.value.response.body)["error"]
        return found.value.response.status_code, error


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    keys = Keys(folder / "keys.json")
    made = {
        "anna": keys.add("anna"), "one": keys.add("one", at_once=1), "few": keys.add("few", models=("other",)),
        "gone": keys.add("gone"),
    }  # fmt: skip
    with serving(folder, CONFIGURATION, **LIMITS) as running:
        yield Place(running, keys, made)


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does, nothing of it stays."""
    yield
    if "place" in request.fixturenames:
        place: Place = request.getfixturevalue("place")
        headers = {"Authorization": f"Bearer {place.made['anna']}"}
        wait_until(lambda: not place.server.ask("GET", "/lollms/v2/calls", headers=headers).json["data"])
        assert "Traceback" not in place.server.log.read_text()


# -- a session -------------------------------------------------------------------------------------------------------


def test_what_is_said_is_written_down_item_by_item(place: Place) -> None:
    with place.manual(said="heard") as client:
        client.sound(TENTH)
        first = client.hear()
        assert first["type"] == f"{OF}.delta"
        assert first["delta"] == first["transcript"] == "heard 0.09 s"  # the resampler holds some back
        client.sound(TENTH)
        client.say("input_audio_buffer.commit")
        events = client.until(f"{OF}.completed")
        kinds = [event["type"] for event in events if event["type"] != f"{OF}.delta"]
        assert kinds == [
            "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done", f"{OF}.completed",
        ]  # fmt: skip
        committed, done = (next(e for e in events if e["type"] == k) for k in (kinds[0], kinds[2]))
        item = first["item_id"]
        assert {committed["item_id"], done["item"]["id"], events[-1]["item_id"]} == {item}
        assert committed["previous_item_id"] is None
        assert done["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        assert events[-1]["transcript"] == "heard 0.20 s"
        assert events[-1]["usage"] == {"type": "duration", "seconds": 0.2}
        client.sound(TENTH * 3)
        client.say("input_audio_buffer.commit")
        events = client.until(f"{OF}.completed")
        assert next(e for e in events if e["type"] == kinds[0])["previous_item_id"] == item
        assert events[-1]["transcript"] == "heard 0.30 s"


def test_a_session_tells_what_is_in_effect(place: Place) -> None:
    with place.connect("anna") as link:
        client = Client(link)
        session = client.hear()["session"]
        assert (session["object"], session["type"]) == ("realtime.transcription_session", "transcription")
        assert session["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24000}, "noise_reduction": None,
            "transcription": {"model": "ears", "language": None, "prompt": None},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                               "silence_duration_ms": 500},
        }  # fmt: skip
        told = client.set(
            transcription={"model": "other/small", "language": "fr", "prompt": "Hello", "keywords": ["x"], "delay": "low"},
            turn_detection={"type": "server_vad", "silence_duration_ms": 300, "create_response": False},
            noise_reduction={"type": "near_field"}, format={"type": "audio/pcmu"},
        )["session"]["audio"]["input"]  # fmt: skip
        assert told["transcription"] == {"model": "other/small", "language": "fr", "prompt": "Hello"}
        assert (told["turn_detection"]["silence_duration_ms"], told["noise_reduction"]) == (300, None)
        assert told["format"] == {"type": "audio/pcmu"}
        # Only what is named is changed.
        told = client.set(transcription={"language": "en"})["session"]["audio"]["input"]
        assert told["transcription"] == {"model": "other/small", "language": "en", "prompt": "Hello"}
        assert told["format"] == {"type": "audio/pcmu"}
        client.set(turn_detection=None, format={"type": "audio/pcm"})
        client.sound(TENTH)
        assert client.written()["languages"] == [{"code": "en"}]
        assert place.server.counted.count("began small") == 0
        assert "began small" in place.server.counted.lines()


def test_names_of_openais_models_mean_the_default(place: Place) -> None:
    for name in ("whisper-1", "gpt-4o-mini-transcribe", "gpt-live-transcribe", "gpt-realtime-whisper", "default"):
        with place.session(path=f"/v1/realtime?model={name}") as client:
            assert (
                client.set(transcription={"model": name})["session"]["audio"]["input"]["transcription"]["model"]
                == "ears"
            )


@pytest.mark.parametrize(("given", "code", "param"), [
    ({"transcription": {"model": "nobody"}}, "model_not_found", "transcription.model"),
    ({"transcription": {"language": "xx"}}, "invalid_option", "transcription.language"),
    ({"transcription": {"sayd": "x"}}, "invalid_option", "transcription.sayd"),
    ({"transcription": {"said": 1}}, "invalid_option", "transcription.said"),
    ({"transcription": 1}, "invalid_type", "transcription"),
    ({"turn_detection": {"type": "semantic_vad"}}, "invalid_value", "turn_detection.type"),
    ({"turn_detection": {"type": "server_vad", "threshold": 2}}, "invalid_value", "turn_detection.threshold"),
    ({"turn_detection": {"type": "server_vad", "silence_duration_ms": 10**9}}, "invalid_value",
     "turn_detection.silence_duration_ms"),
    ({"turn_detection": {}}, "missing_required_parameter", "turn_detection.type"),
    ({"format": {"type": "audio/mp3"}}, "invalid_value", "format.type"),
    ({"format": {"type": "audio/pcm", "rate": 10**9}}, "invalid_value", "format.rate"),
    ({"formatt": 1}, "unknown_parameter", "formatt"),
])  # fmt: skip
def test_a_wrong_setting_is_told_and_changes_nothing(place: Place, given: Any, code: str, param: str) -> None:
    with place.manual(said="as before") as client:
        assert client.set(**given)["type"] == "error"
        client.set(**given, event_id="no")  # a field of nothing
    with place.manual(said="as before") as client:
        event = (
            client.set(format={"type": "audio/pcm", "rate": 48000}, **given)
            if "format" not in given
            else client.set(**given)
        )
        assert (event["error"]["code"], event["error"]["param"]) == (code, f"session.audio.input.{param}")
        assert event["error"]["event_id"] == "ev1"
        client.sound(TENTH)
        assert client.written()["transcript"] == "as before 0.10 s"


WRONG: dict[str, tuple[str | bytes, str]] = {
    "bytes": (b"{}", "invalid_json"),
    "no JSON": ("{", "invalid_json"),
    "no object": ("[]", "invalid_json"),
    "no number": ('{"type": NaN}', "invalid_number"),
    "empty": ("", "empty_body"),
    "deep": ('{"type": ' + "[" * 60 + "]" * 60 + "}", "invalid_json"),
    "deep and no end": ('{"type": ' + "[" * 100_000, "invalid_json"),
    "no type": ("{}", "missing_required_parameter"),
    "a type that is none": ('{"type": "response.create"}', "invalid_value"),
    "a type of another kind": ('{"type": {"x": 1}}', "invalid_value"),
    "a field that is none": ('{"type": "input_audio_buffer.clear", "x": 1}', "unknown_parameter"),
    "no sound": ('{"type": "input_audio_buffer.append"}', "missing_required_parameter"),
    "a number": ('{"type": "input_audio_buffer.append", "audio": 1}', "invalid_type"),
    "no base64": ('{"type": "input_audio_buffer.append", "audio": "%%%%"}', "invalid_value"),
    "half of base64": ('{"type": "input_audio_buffer.append", "audio": "AAA"}', "invalid_value"),
    "an address": ('{"type": "input_audio_buffer.append", "audio": "file:///etc/hostname"}', "invalid_value"),
    "nothing to commit": ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
    "no session": ('{"type": "session.update", "session": 1}', "invalid_type"),
    "another session": ('{"type": "session.update", "session": {"type": "realtime"}}', "invalid_value"),
    "an empty session": ('{"type": "session.update", "session": {}}', "missing_required_parameter"),
}


def test_what_is_no_event_is_told_and_the_session_goes_on(place: Place) -> None:
    with place.manual() as client:
        for name, (said, code) in WRONG.items():
            client.link.send(said)
            assert client.error()["code"] == code, name
        client.sound(TENTH)
        assert client.written()["transcript"] == "0.10 s"


def test_too_little_is_not_committed(place: Place) -> None:
    with place.manual() as client:
        client.sound(TENTH[:2400])
        client.until(f"{OF}.delta")
        client.say("input_audio_buffer.commit", event_id="mine")
        error = client.error()
        assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "mine")
        assert "50.00 ms" in error["message"]


def test_what_is_cleared_is_stopped(place: Place) -> None:
    with place.manual(said="cleared") as client:
        client.sound(TENTH)
        client.until(f"{OF}.delta")
        client.say("input_audio_buffer.clear")
        client.until("input_audio_buffer.cleared")
        wait_until(lambda: "cancelled cleared" in place.server.counted.lines())
        client.sound(TENTH * 2)
        assert client.written()["transcript"] == "cleared 0.20 s"


def test_sound_comes_in_any_pieces_and_formats(place: Place) -> None:
    with place.manual() as client:
        for size in (1, 3, 4799, 1, 0, 4796):  # a sample may be in two of them
            client.sound(bytes(size))
        assert client.written()["usage"]["seconds"] == 0.2
        for kind, size in (
            ({"type": "audio/pcmu"}, 1600),
            ({"type": "audio/pcma"}, 1600),
            ({"type": "audio/pcm", "rate": 16000}, 6400),
            ({"type": "audio/pcm", "rate": 48000}, 19200),
        ):
            client.set(format=kind)
            client.sound(bytes(size))
            assert client.written()["usage"]["seconds"] == pytest.approx(0.2, abs=0.02), kind


def test_without_a_transcription_items_are_only_told(place: Place) -> None:
    with place.session() as client:
        client.say(
            "session.update",
            session={"type": "transcription", "audio": {"input": {"transcription": None, "turn_detection": None}}},
        )
        assert client.hear()["session"]["audio"]["input"]["transcription"] is None
        client.sound(TENTH)
        client.say("input_audio_buffer.commit")
        assert client.until("conversation.item.done")[0]["type"] == "input_audio_buffer.committed"
        assert client.set(transcription={})["session"]["audio"]["input"]["transcription"]["model"] == "ears"
        client.sound(TENTH)
        assert client.written()["transcript"] == "0.10 s"


def test_no_engine_waits_for_who_has_stopped_talking(place: Place) -> None:
    with place.manual() as client:
        ended = place.server.counted.count("ended")
        client.sound(TENTH)
        wait_until(lambda: place.server.counted.count("ended") == ended + 1)
        client.sound(TENTH * 2)
        assert (
            client.written()["transcript"] == "0.09 s 0.21 s"
        )  # what the resampler held back comes with the second call


def test_the_shapes_of_before(place: Place) -> None:
    with place.connect("anna", headers={"OpenAI-Beta": "realtime=v1"}) as link:
        client = Client(link)
        created = client.hear()
        assert created["type"] == "transcription_session.created"
        assert created["session"]["input_audio_format"] == "pcm16"
        client.say("transcription_session.update", session={
            "input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "whisper-1", "language": "en"},
            "turn_detection": None, "input_audio_noise_reduction": {"type": "near_field"},
        })  # fmt: skip
        updated = client.hear()
        assert updated["type"] == "transcription_session.updated"
        assert updated["session"]["input_audio_transcription"]["language"] == "en"
        assert updated["session"]["turn_detection"] is None
        client.sound(bytes(800))
        client.say("input_audio_buffer.commit")
        kinds = [event["type"] for event in client.until(f"{OF}.completed") if event["type"] != f"{OF}.delta"]
        assert kinds == ["input_audio_buffer.committed", "conversation.item.created", f"{OF}.completed"]
        client.say("transcription_session.update", session={"input_audio_format": "mp3"})
        assert client.error()["code"] == "invalid_value"


# -- who may come, and how much ---------------------------------------------------------------------------------------


def test_a_key_is_needed_wherever_it_stands(place: Place) -> None:
    key = place.made["anna"]
    assert place.refused("")[0] == 401
    assert place.refused("", headers={"Authorization": "Bearer wrong"})[0] == 401
    assert place.refused("", subprotocols=["realtime", "openai-insecure-api-key.wrong"])[0] == 401
    assert place.refused("", subprotocols=["realtime", "openai-insecure-api-key."])[0] == 401
    assert place.refused("", path=f"{PATH}&api_key={key}")[0] == 401
    assert place.refused(subprotocols=["realtime", "openai-insecure-api-key.wrong"])[0] == 400  # which of the two?
    several = ["realtime", f"openai-insecure-api-key.{key}", "openai-insecure-api-key.wrong"]
    assert place.refused("", subprotocols=several)[0] == 400
    with place.connect("", subprotocols=several[:2]) as link:  # type: ignore[arg-type]
        assert link.subprotocol == "realtime"  # and the key is not said again
        assert Client(link).hear()["type"] == "session.created"


def test_pages_of_others_may_not_come(place: Place) -> None:
    key = place.made["anna"]
    for origin in ("https://evil.example", "null", f"http://localhost.evil.example:{place.server.port}"):
        assert place.refused(headers={"Origin": origin})[0] == 403, origin
    for origin in ("https://app.example", f"http://127.0.0.1:{place.server.port}"):
        with place.connect("", subprotocols=["realtime", f"openai-insecure-api-key.{key}"], origin=origin) as link:  # type: ignore[arg-type]
            assert Client(link).hear()["type"] == "session.created"


def test_what_is_not_there_is_told_before(place: Place) -> None:
    assert place.refused(path="/v1/realtime?model=nobody")[0] == 404
    assert place.refused(path="/v1/realtime?model=gpt-realtime")[1]["code"] == "model_not_found"
    assert place.refused(path="/v1/realtime?model=counting")[0] == 404  # which speaks
    assert place.refused(path="/v1/realtime?intent=conversation")[1]["param"] == "intent"
    assert place.refused(path="/v1/realtime?call_id=rtc_1")[0] == 400
    assert place.refused(path="/v1/realtime/../realtime")[0] == 404
    assert place.refused(path="/v1/audio/transcriptions")[0] == 404
    plain = place.server.ask("GET", "/v1/realtime", headers={"Authorization": f"Bearer {place.made['anna']}"})
    assert (plain.status, plain.error["code"]) == (426, "upgrade_required")


def test_a_key_has_its_models_alone(place: Place) -> None:
    assert place.refused("few", path="/v1/realtime?model=ears")[0] == 404
    with place.connect("few") as link:
        client = Client(link)
        assert client.hear()["session"]["audio"]["input"]["transcription"] is None  # the default is not for it
        assert client.set(transcription={"model": "ears"})["error"]["code"] == "model_not_found"
        assert client.set(transcription={"model": "other"}, turn_detection=None)["type"] == "session.updated"
        client.sound(TENTH)
        assert client.written()["transcript"] == "0.10 s"


def test_a_keys_calls_are_counted(place: Place) -> None:
    with place.manual("one") as first, place.manual("one") as second:
        first.sound(TENTH)
        first.until(f"{OF}.delta")
        second.sound(TENTH)
        told = second.written()
        assert (told["type"], told["error"]["code"]) == (f"{OF}.failed", "rate_limit_exceeded")
        assert first.written()["transcript"] == "0.10 s"
        second.sound(TENTH)
        assert second.written()["transcript"] == "0.10 s"


def test_a_key_that_is_taken_away_ends_its_sessions(place: Place) -> None:
    with place.session("gone") as client:
        place.keys.remove("gone")
        assert client.error()["code"] == "invalid_api_key"
        assert client.closed() == 4401


def test_as_many_sessions_as_may_be(place: Place) -> None:
    with ExitStack() as links:
        for _ in range(8):
            links.enter_context(place.connect("anna"))
        assert place.refused()[0] == 429
    wait_until(lambda: _opens(place))


def _opens(place: Place) -> bool:
    try:
        with place.connect("anna"):
            return True
    except InvalidStatus:
        return False


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_an_engine_that_fails_is_told_without_its_secrets(place: Place) -> None:
    with place.manual(said="fail") as client:
        client.sound(TENTH)
        told = client.written()
        assert told["type"] == f"{OF}.failed"
        assert (told["error"]["type"], told["error"]["code"]) == ("server_error", "engine_failed")
        assert "/srv/models" not in json.dumps(told)
        assert "sk-aaa" not in json.dumps(told)
        client.set(transcription={"said": "well"})
        client.sound(TENTH)
        assert client.written()["transcript"] == "well 0.10 s"


def test_who_leaves_is_not_written_down(place: Place) -> None:
    with place.manual(said="left") as client:
        client.sound(TENTH)
        client.until(f"{OF}.delta")
    wait_until(lambda: "cancelled left" in place.server.counted.lines())
    with place.manual(said="broken off") as client:
        client.sound(TENTH)
        client.until(f"{OF}.delta")
        client.link.socket.close()  # without a word
    wait_until(lambda: "cancelled broken off" in place.server.counted.lines())


def test_who_reads_nothing_is_let_go(place: Place) -> None:
    with place.manual(said="long") as client:
        for _ in range(40):  # for each there is an event of a megabyte
            client.sound(TENTH)
        wait_until(lambda: "cancelled long" in place.server.counted.lines())


def test_a_message_is_no_larger_than_may_be(place: Place) -> None:
    with place.manual() as client:
        client.sound(TENTH * 60)  # six seconds are taken at once
        assert client.written()["transcript"] == "6.00 s"
        with suppress(ConnectionClosed):
            client.link.send('{"type": "input_audio_buffer.append", "audio": "' + "A" * 8_000_000 + '"}')
        assert client.closed() in (1009, 1006)  # the connection is cut where the client still sends


# -- the parts ----------------------------------------------------------------------------------------------------------


def test_g711_is_expanded_as_its_standard_has_it() -> None:
    import av

    for name, ulaw in (("pcm_mulaw", True), ("pcm_alaw", False)):
        codec: Any = av.CodecContext.create(name, "r")
        codec.sample_rate, codec.layout = 8000, "mono"
        every = bytes(range(256))
        (frame,) = codec.decode(av.Packet(every))
        assert np.frombuffer(expanded(every, ulaw), "<i2").tolist() == frame.to_ndarray().ravel().tolist()


def test_sound_keeps_its_pitch_and_length() -> None:
    tone = (np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000) * 20000).astype("<i2").tobytes()
    sound = Sound(Format())
    parts = [sound.feed(base64.b64encode(tone[at : at + 961]).decode()) for at in range(0, len(tone), 961)]
    made = np.frombuffer(b"".join([*parts, sound.finish()]), "<i2").astype(float)
    assert len(made) == 16000
    assert sound.seconds == pytest.approx(1.0)
    assert int(np.abs(np.fft.rfft(made)).argmax()) == 440


class Chances:
    """A detector that knows beforehand."""

    def __init__(self, *chances: float) -> None:
        self._chances = list(chances)
        self._rest = 0

    def feed(self, samples: Any) -> Any:
        self._rest += len(samples)
        count, self._rest = divmod(self._rest, 512)
        found, self._chances = self._chances[:count], self._chances[count:]
        return np.array(found)


def turns_of(chances: list[float], step: int = 700, **wanted: Any) -> list[Heard]:
    turns = Turns(ServerVad(type="server_vad", **wanted), Chances(*chances), 0.0, wanted.pop("most", 300.0))
    pcm = b"".join(bytes([number]) * 1024 for number in range(len(chances)))
    return [heard for at in range(0, len(pcm), step) for heard in turns.hear(pcm[at : at + step])]


def test_turns_begin_and_end_where_they_are_told_to() -> None:
    quiet, loud = [0.1] * 20, [0.9] * 10
    for step in (700, 1024, 34, 10**6):
        found = turns_of([*quiet, *loud, *quiet, *loud, *quiet], step, prefix_padding_ms=64, silence_duration_ms=320)
        edges = [heard for heard in found if heard.kind != "sound"]
        assert [heard.kind for heard in edges] == ["begins", "ends"] * 2
        # Two frames before the first that is loud; ten of silence behind the last.
        assert [round(heard.at / 0.032) for heard in edges] == [18, 40, 48, 70]
        frames = b"".join(heard.pcm for heard in found)[::1024]
        assert list(frames) == [*range(18, 40), *range(48, 70)]


def test_a_click_is_no_turn_and_a_threshold_is_one() -> None:
    assert turns_of([0.1, 0.9, 0.1, 0.1, 0.9, 0.1]) == []
    assert turns_of([0.6] * 10, threshold=0.7) == []
    assert [heard.kind for heard in turns_of([0.6] * 10, threshold=0.5)][:2] == ["begins", "sound"]
    # Below where it begins speech still goes on.
    soft = turns_of([*[0.9] * 5, *[0.4] * 40], silence_duration_ms=100)
    assert [heard.kind for heard in soft if heard.kind != "sound"] == ["begins"]


def test_an_endless_turn_is_cut() -> None:
    turns = Turns(ServerVad(type="server_vad", prefix_padding_ms=0), Chances(*[0.9] * 100), 5.0, 1.0)
    found = [heard for _ in range(100) for heard in turns.hear(bytes(1024))]
    assert [heard.kind for heard in found if heard.kind != "sound"] == [*["begins", "ends"] * 3, "begins"]
    assert sum(len(heard.pcm) for heard in found) == 1024 * 100  # nothing is lost between them
    assert found[0].at == 5.0


def test_what_is_told_is_only_added_to() -> None:
    def told(*texts: str) -> list[str]:
        deltas = Deltas()
        return [deltas.more(text, final=text is texts[-1]) for text in texts]

    assert told("The birch.", "The birch canoe, slid on", "The birch canoe, slid on planks.") == [
        "The birch", " canoe, slid on", " planks.",
    ]  # fmt: skip
    # What was heard wrongly stays, what comes behind it is told, and nothing twice.
    assert told("Blue, the sh-", "Glue the sheet to the dark blue sky.") == ["Blue, the sh", " to the dark blue sky."]
    assert told("It's key.", "It's easy to tell.") == ["It's key", " to tell."]
    assert told("a b c", "a b") == ["a b c", ""]
    assert told("日本", "日本語を", "日本語お話す。") == ["日本", "語を", "話す。"]
    assert told("x" * 3000, "y" * 3000) == ["x" * 3000, ""]
