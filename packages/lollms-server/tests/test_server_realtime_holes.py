"""``/v1/realtime`` attacked: frames that are none, fields without end, silence, and connections that are cut."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from raw_websocket import BYTES, END, PING, RawWebSocket, frame
from serving import SERVE, Server, models, server_of, serving
from unsent import filled, is_open
from waiting import wait_until

PATH = "/v1/realtime?intent=transcription"
CONFIGURATION = f"{SERVE}{models('ears', ears='stt')}"
LIMITS = {
    "unread_seconds": 1.0,
    "ping_seconds": 1.0,
    "stall_seconds": 0.2,
    "idle_seconds": 1.0,
    "sessions": 40,
    "caller_sessions": 40,
}
MEGABYTE = 1_000_000
SECOND = base64.b64encode(bytes(48_000)).decode()


server = server_of(CONFIGURATION, **LIMITS | {"ping_seconds": 10.0, "stall_seconds": 5.0, "idle_seconds": 600.0})


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nobody."""
    with serving(tmp_path_factory.mktemp("impatient"), CONFIGURATION, **LIMITS) as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    """Whatever a test does, nothing of it stays."""
    yield
    wait_until(lambda: not server.ask("GET", "/lollms/v2/calls").json["data"])
    assert "Traceback" not in server.log.read_text()
    with opened(server) as session:
        session.say("input_audio_buffer.clear")
        assert session.event()["type"] == "input_audio_buffer.cleared"


def opened(server: Server, **more: Any) -> RawWebSocket:
    """A session that was told of itself."""
    session = RawWebSocket(server.port, PATH, **more)
    assert session.event()["type"] == "session.created"
    return session


def setting(**transcription: Any) -> dict[str, Any]:
    return {
        "type": "transcription",
        "audio": {"input": {"turn_detection": None, "transcription": transcription}},
    }


FRAMES: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(b"{}", masked=False), 1002),
    "reserved bits": (frame(b"{}", bits=4), 1002),
    "no such kind": (frame(b"", 3), 1002),
    "no such kind of control": (frame(b"", 11), 1002),
    "a ping in parts": (frame(b"x", PING, fin=False), 1002),
    "a ping that is too long": (frame(b"x" * 126, PING), 1002),
    "a part of nothing": (frame(b"{}", 0), 1002),
    "a message in another": (frame(b"{", fin=False) + frame(b"}"), 1002),
    "no text": (frame(b"\xff\xfe"), 1007),
    "half a character": (frame(b'{"type": "\xc3', fin=False) + frame(b'"}', 0), 1007),
    "a surrogate": (frame(b"\xed\xa0\x80"), 1007),
    "a length that is none": (frame(b"x", length=1 << 63), 1009),
    "a length beyond all": (frame(b"x", length=(1 << 63) - 1), 1009),
    "more than is taken": (frame(b"x", length=6 * MEGABYTE), 1009),
    "half an end": (frame(b"x", END), 1002),
    "an end that is none": (frame(b"\x03\xed", END), 1002),
    "an end without a text": (frame(b"\x03\xe8\xff", END), 1007),
    "no WebSocket": (b"GET / HTTP/1.1\r\n\r\n", 1002),
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_no_frame_ends_the_session(server: Server, name: str) -> None:
    sent, code = FRAMES[name]
    with opened(server) as session:
        session.send(sent)
        assert session.end()[0] == code


def test_parts_are_no_larger_than_a_message(server: Server) -> None:
    with opened(server) as session:
        session.send(frame(b"x", fin=False))
        with suppress(OSError):
            for _ in range(20):
                session.socket.sendall(frame(b"x" * MEGABYTE, 0, fin=False))
        assert session.end()[0] in (1009, None)


def test_a_message_may_come_in_any_parts_with_pings_between(server: Server) -> None:
    said = json.dumps({"type": "input_audio_buffer.clear"}).encode()
    with opened(server) as session:
        session.send(frame(said[:1], fin=False))
        for at in range(1, len(said)):
            session.send(frame(b"", 0, fin=False) + frame(said[at : at + 1], 0, fin=False) + frame(b"x", PING))
        session.send(frame(b"", 0))
        assert session.event()["type"] == "input_audio_buffer.cleared"


def nothing_but(text: str) -> dict[str, Any]:
    return {"session": setting(**{"model": text})}


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "a name": (nothing_but("x" * MEGABYTE), "invalid_value"),
    "a path": (nothing_but("../../etc/passwd"), "model_not_found"),
    "a path of its own models": (nothing_but("ears/../../etc/passwd"), "model_not_found"),
    "an address": (nothing_but("http://127.0.0.1/"), "model_not_found"),
    "a prompt": ({"session": setting(prompt="x" * MEGABYTE)}, "invalid_value"),
    "keywords": ({"session": setting(keywords=["x"] * 100_000)}, "invalid_value"),
    "languages": ({"session": setting(languages=["en"] * 100_000)}, "invalid_value"),
    "a language": ({"session": setting(language="e" * MEGABYTE)}, "invalid_value"),
    "an option": ({"session": setting(**{"x" * MEGABYTE: 1})}, "invalid_option"),
    "many options": ({"session": setting(**{f"x{n}": 1 for n in range(50_000)})}, "invalid_option"),
    "a format": ({"session": {"type": "transcription", "audio": {"input": {"format": {"type": "x" * MEGABYTE}}}}},
                 "invalid_value"),
    "include": ({"session": {"type": "transcription", "include": ["x"] * 100_000}}, "invalid_value"),
    "a field of nothing": ({"x" * MEGABYTE: 1, "session": {}}, "unknown_parameter"),
    "a number": ({"session": {"type": "transcription", "audio": {"input": {"turn_detection": {
        "type": "server_vad", "silence_duration_ms": 10**4000}}}}}, "invalid_number"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_fields_have_bounds_and_are_not_sent_back(server: Server, name: str) -> None:
    fields, code = FIELDS[name]
    with opened(server) as session:
        session.say("session.update", event_id="x" * 600, **fields)
        told = session.event()
        assert (told["type"], told["error"]["code"]) == ("error", code)
        assert len(json.dumps(told)) < 5000
        assert told["error"]["event_id"] is None  # longer than an id is
        session.say("x" * MEGABYTE)
        assert len(json.dumps(session.event())) < 5000


def test_odd_characters_are_told_or_taken(server: Server) -> None:
    with opened(server) as session:
        for said in (r'{"type": "\ud800"}', r'{"type": "input_audio_buffer.clear", "event_id": "\ud800"}'):
            session.send(frame(said.encode()))
            assert session.event()["error"]["code"] in ("invalid_json", "invalid_value")
        session.say("session.update", session=setting(prompt="a\0b\u2028\u202e", language="en"))
        assert session.event()["session"]["audio"]["input"]["transcription"]["prompt"] == "a\0b\u2028\u202e"


def test_a_flood_of_events_holds_up_nobody(server: Server) -> None:
    wrong = frame(b"{}") + frame(b"[]", BYTES) + frame(b"", PING)
    with opened(server) as session, opened(server) as other:
        session.send(wrong * 2000)
        other.say("input_audio_buffer.clear")
        assert other.event()["type"] == "input_audio_buffer.cleared"
        assert [session.event()["type"] for _ in range(4000)] == ["error"] * 4000


# -- silence ------------------------------------------------------------------------------------------------------------


def test_a_session_in_which_nothing_is_sent_ends(impatient: Server) -> None:
    with opened(impatient) as session:  # and it answers pings
        code, events = session.end()
    assert code == 1000
    assert [event["error"]["code"] for event in events] == ["session_expired"]


def test_who_answers_no_ping_is_gone(impatient: Server) -> None:
    with opened(impatient) as session:
        session.say("session.update", session=setting(said="hold"))
        session.event()
        session.say("input_audio_buffer.append", audio=SECOND)  # so that it is not idle
        assert session.end(pongs=False)[0] == 1011


HALVES: dict[str, Callable[[], bytes]] = {
    "a head": lambda: frame(b"x" * 70_000)[:5],
    "a frame": lambda: frame(b"x" * 70_000)[:50_000],
    "a message": lambda: frame(b"{", fin=False),
}


@pytest.mark.parametrize("name", HALVES)
def test_half_a_message_is_not_waited_for(impatient: Server, name: str) -> None:
    with opened(impatient) as session:
        session.send(HALVES[name]())
        # Where a pong would be a part of it, none is sent.
        assert session.end(pongs=name == "a message")[0] in (1000, 1011)


# -- connections that are cut -------------------------------------------------------------------------------------------


def held_up(server: Server) -> RawWebSocket:
    """A session whose engine takes nothing, and which has sent more than is taken ahead."""
    session = opened(server)
    session.say("session.update", session=setting(said="hold"))
    assert session.event()["type"] == "session.updated"
    for _ in range(33):
        session.say("input_audio_buffer.append", audio=SECOND)
    return session


@pytest.mark.parametrize("how", ["reset", "close"])
def test_who_goes_while_sound_waits_for_room_is_not_written_down(server: Server, how: str) -> None:
    began, cancelled = server.counted.count("began"), server.counted.lines().count("cancelled hold")
    session = held_up(server)
    wait_until(lambda: server.counted.count("began") > began)
    session.reset() if how == "reset" else session.socket.close()
    wait_until(lambda: server.counted.lines().count("cancelled hold") > cancelled, 10)


def test_who_goes_while_his_call_waits_for_its_turn_is_not_written_down(server: Server) -> None:
    began = server.counted.count("began")
    with held_up(server) as first:
        wait_until(lambda: server.counted.count("began") == began + 1)
        second = held_up(server)
        wait_until(lambda: len(server.ask("GET", "/lollms/v2/calls").json["data"]) == 2)
        second.socket.close()
        wait_until(lambda: len(server.ask("GET", "/lollms/v2/calls").json["data"]) == 1, 10)
        first.reset()
    wait_until(lambda: not server.ask("GET", "/lollms/v2/calls").json["data"])
    assert server.counted.count("began") == began + 1


def test_many_that_are_cut_leave_nothing(server: Server) -> None:
    sessions = [held_up(server) if n % 8 == 0 else opened(server) for n in range(32)]
    for number, session in enumerate(sessions):
        session.reset() if number % 2 else session.socket.close()
    wait_until(lambda: not any(is_open(server, session.port) for session in sessions), 10)


@pytest.mark.full
def test_of_what_is_never_taken_nothing_stays(server: Server) -> None:
    with opened(server, window=2304) as session:
        filled(server, session.port, lambda: session.send(frame(b"{}") * 20))
        session.send(FRAMES["reserved bits"][0])  # after which it is closed
        wait_until(lambda: not is_open(server, session.port), 10)
