"""Every kind of binding, and every verb of it, by our own surface: with progress, cancelled, as a job, told alike."""

from __future__ import annotations

import base64
import json
import socket
from typing import Any

import pytest
from lollms_modalities import Audio
from served import PNG
from serving import SERVE, Server, form, models, server_of
from waiting import wait_until

CONFIGURATION = (
    SERVE
    + models(counting="tts", ears="stt", eyes="tti", lyre="ttm", films="ttv")
    + models("example", tone="tts", blocks="tti", ball="ttv")
)
V2, JOBS = "/lollms/v2/bindings", "/lollms/v2/jobs"
EVENTS, ASYNC = {"Accept": "text/event-stream"}, {"Prefer": "respond-async"}
WAV = base64.b64encode(Audio.from_pcm(bytes(96000), 16000)).decode()
PICTURE = base64.b64encode(PNG).decode()
# A call of each kind that tells how far it is, and the argument that says how long it takes.
KINDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "speech": ("tts/counting/verbs/generate_audio", {}, "text"),
    "a stream of speech": ("tts/counting/verbs/stream_audio", {}, "text"),
    "transcription": ("stt/ears/verbs/transcribe_audio", {"audio_path": WAV}, "said"),
    "a stream of text": ("stt/ears/verbs/stream_transcript", {"audio_path": WAV}, "said"),
    "images": ("tti/eyes/verbs/generate_images", {"n": 2}, "prompt"),
    "changed images": ("tti/eyes/verbs/edit_images", {"images": [PICTURE]}, "prompt"),
    "music": ("ttm/lyre/verbs/generate_music", {"duration": 2}, "prompt"),
    "a film": ("ttv/films/verbs/generate_video", {}, "prompt"),
}
# And those that tell nothing before their end.
QUIET: dict[str, tuple[str, dict[str, Any]]] = {
    "an image enlarged": ("tti/blocks/verbs/upscale_image", {"image": PICTURE, "scale": 2}),
    "an image cut out": ("tti/blocks/verbs/remove_background", {"image": PICTURE}),
    "a film of the examples": ("ttv/ball/verbs/generate_video", {"prompt": "x"}),
    "a tone": ("tts/tone/verbs/generate_audio", {"text": "one two"}),
}

server = server_of(CONFIGURATION, ping_seconds=0.2, lease=(0.3, 30.0))


def asked(kind: str, work: str) -> tuple[str, dict[str, Any]]:
    """The path and the arguments of a call that takes so many steps."""
    path, arguments, says = KINDS[kind] if kind in KINDS else (*QUIET[kind], "")
    return f"{V2}/{path}", {**arguments, **({says: work} if says else {})}


def told(body: bytes) -> list[dict[str, Any]]:
    parts = body.decode().split("data: ")[1:]
    return [json.loads(part.partition("\n\n")[0]) for part in parts]


@pytest.mark.parametrize("kind", KINDS)
def test_how_far_a_call_is_comes_before_what_came_of_it(server: Server, kind: str) -> None:
    path, arguments = asked(kind, "work 9")
    events = told(server.ask("POST", path, {"arguments": arguments}, EVENTS).body)
    reports = [event for event in events if event["type"] == "progress"]
    assert reports
    done = [report["done"] for report in reports]
    assert done == sorted(done)
    assert {report["total"] for report in reports} != {None}
    assert events[-1]["type"] == ("done" if "stream" in kind else "result")
    assert events[-1]["provenance"]["binding"] == "counting"


@pytest.mark.parametrize("kind", [*KINDS, *QUIET])
def test_the_same_as_a_job(server: Server, kind: str) -> None:
    path, arguments = asked(kind, "work 3")
    made = server.ask("POST", path, {"arguments": arguments}, ASYNC)
    assert made.status == 202
    events = told(server.ask("GET", f"{JOBS}/{made.json['id']}", None, EVENTS).body)
    assert (events[-1]["status"], events[-1]["progress"]) == ("completed", 100), events[-1]
    at_once = server.ask("POST", path, {"arguments": arguments}, EVENTS)
    kinds = [event["value"]["kind"] for event in told(at_once.body) if "value" in event]
    given = {"chunk": "audio", "segment": "transcript"}.get(kinds[0], kinds[0])
    assert events[-1]["value"]["kind"] == given
    assert server.ask("GET", f"{JOBS}/{made.json['id']}/content").status == 200


@pytest.mark.parametrize("way", ["by its id", "by going away", "as a job"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_of_each_kind_is_cancelled_in_its_engine(server: Server, kind: str, way: str) -> None:
    path, arguments = asked(kind, "work 100000")
    cancelled = server.counted.count("cancelled")
    if way == "as a job":
        job = f"{JOBS}/{server.ask('POST', path, {'arguments': arguments}, ASYNC).json['id']}"
        wait_until(lambda: server.ask("GET", job).json["reported"])
        assert server.ask("DELETE", job).json["deleted"] is True
    else:
        body = json.dumps({"arguments": arguments}).encode()
        with server.connect() as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-Request-ID: mine\r\n"
                f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            connection.recv(1, socket.MSG_PEEK)  # it has begun
            if way == "by its id":
                assert server.ask("DELETE", "/lollms/v2/calls/mine").json == {"id": "mine", "cancelled": True}
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    wait_until(lambda: not server.ask("GET", "/lollms/v2/calls").json["data"])


def test_numbers_that_are_none_are_told_as_none(server: Server) -> None:
    """Engines tell them where they do not know; JSON has no word for them."""
    body, headers = form(
        {"said": "odd|even", "response_format": "verbose_json", "file": ("a.wav", base64.b64decode(WAV))}
    )
    first, second = server.ask("POST", "/v1/audio/transcriptions", body, headers).json["segments"]
    assert (first["avg_logprob"], first["seek"], second["text"]) == (0.0, 0, "even"), "a number, as the shape has it"
    path, arguments = asked("transcription", "odd|even")
    job = f"{JOBS}/{server.ask('POST', path, {'arguments': arguments}, ASYNC).json['id']}"
    wait_until(lambda: server.ask("GET", job).json["status"] == "completed")
    assert any(job.endswith(row["id"]) for row in server.ask("GET", JOBS).json["data"])
    whole = [server.ask("POST", path, {"arguments": arguments}).json, server.ask("GET", job).json["value"],
             server.ask("GET", f"{job}/content").json]  # fmt: skip
    events = told(server.ask("POST", asked("a stream of text", "")[0], {"arguments": arguments}, EVENTS).body)
    assert {"progress", "item", "done"} == {event["type"] for event in events}
    items = [event["value"] for event in events if event["type"] == "item"]
    for segments in (*(one["segments"] for one in whole), items):
        assert segments[0]["extra"] == {"avg_logprob": None, "seek": None, "more": [{"score": None}]}
