"""Jobs over HTTP: films, music, any verb; their owners, their ends, what is served of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import Image, Video, probe_audio
from lollms_server.room.keys import Keys, write_private
from served import PNG
from serving import SERVE, Reply, Server, form, models, server_of, serving
from waiting import wait_until

CONFIGURATION = f"""
{SERVE}
{models(films="ttv")}
[models.isolated]
binding = "counting"
modality = "ttv"
{models("example", chord="ttm")}
{models(counting="tts", ears="stt")}
"""
VIDEOS, MUSIC, JOBS = "/v1/videos", "/v1/music", "/lollms/v2/jobs"
SPEAK = "/lollms/v2/bindings/tts/counting/verbs/generate_audio"
LONG = "work 100000"
ASYNC = {"Prefer": "respond-async"}


server = server_of(CONFIGURATION, ping_seconds=0.2, lease=(0.3, 30.0))


def made(reply: Reply, status: int = 200) -> dict[str, Any]:
    assert reply.status == status, reply.body
    job: dict[str, Any] = reply.json
    return job


def film(server: Server, prompt: str = "a film", **more: Any) -> dict[str, Any]:
    return made(server.ask("POST", VIDEOS, {"prompt": prompt, "model": "films", **more}))


def ended(server: Server, path: str) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    def over() -> bool:
        seen.append(made(server.ask("GET", path)))
        return seen[-1]["status"] not in ("queued", "in_progress")

    wait_until(over)
    return seen[-1]


def events(server: Server, path: str, **headers: str) -> list[dict[str, Any]]:
    body = server.ask("GET", path, None, {"Accept": "text/event-stream", **headers}).body.decode()
    return [json.loads(part) for part in body.split("data: ")[1:] for part in [part.partition("\n\n")[0]]]


def test_a_film_is_asked_for_and_fetched(server: Server) -> None:
    asked = server.ask(
        "POST", VIDEOS, {"prompt": "a film", "model": "films", "seconds": "2", "size": "64x48", "seed": 7}
    )
    job = made(asked)
    assert re.fullmatch(r"video_[0-9a-f]{32}", job["id"])
    assert (job["object"], job["prompt"], job["seconds"], job["size"]) == ("video", "a film", "2", "64x48")
    assert asked.headers["openai-poll-after-ms"] == "1000"
    done = ended(server, f"{VIDEOS}/{job['id']}")
    assert (done["status"], done["progress"], done["prompt"], done["error"]) == ("completed", 100, None, None)
    assert (done["seconds"], done["size"]) == ("2", "64x48")
    assert done["created_at"] <= done["completed_at"] < done["expires_at"]
    content = server.ask("GET", f"{VIDEOS}/{job['id']}/content")
    video = Video(content.body)
    assert content.headers["content-type"] == "video/mp4"
    assert (video.width, video.height, video.num_frames) == (64, 48, 8)
    picture = server.ask("GET", f"{VIDEOS}/{job['id']}/content?variant=thumbnail")
    assert picture.headers["content-type"] == "image/webp"
    assert (Image(picture.body).width, Image(picture.body).height) == (64, 48)
    assert server.ask("GET", f"{VIDEOS}/{job['id']}/content?variant=spritesheet").error["param"] == "variant"


def test_a_film_may_be_asked_for_by_a_form_with_a_picture(server: Server) -> None:
    body, headers = form(
        {"model": "films", "prompt": "with a picture", "seconds": "1", "input_reference": ("x.png", PNG)}
    )
    job = made(server.ask("POST", VIDEOS, body, headers))
    assert ended(server, f"{VIDEOS}/{job['id']}")["status"] == "completed"
    assert f"filmed 'with a picture' 4 {len(PNG)}" in server.counted.lines()
    wait_until(lambda: not server.files())
    for given in ("http://127.0.0.1/x.png", "/etc/hostname", {"image_url": "file:///etc/hostname"}):
        refused = server.ask("POST", VIDEOS, {"prompt": "x", "model": "films", "input_reference": given})
        assert (refused.status, refused.error["code"]) == (400, "invalid_media")


def test_a_film_is_made_again_with_another_prompt(server: Server) -> None:
    job = film(server, seconds="1", size="48x32", seed=9)
    path = f"{VIDEOS}/{job['id']}"
    ended(server, path)
    again = made(server.ask("POST", f"{path}/remix", {"prompt": "another"}))
    assert (again["prompt"], again["remixed_from_video_id"]) == ("another", job["id"])
    assert ended(server, f"{VIDEOS}/{again['id']}")["size"] == "48x32"
    one, other = (made(server.ask("GET", f"{JOBS}/{j['id']}")) for j in (job, again))
    assert one["provenance"]["seed"] == other["provenance"]["seed"] == 9, "the same seed, the same size"
    assert one["value"]["seconds"] == other["value"]["seconds"] == 1
    assert server.ask("POST", f"{VIDEOS}/video_0/remix", {"prompt": "x"}).status == 404
    for path in (VIDEOS, f"{VIDEOS}/{job['id']}/remix"):
        reply = server.ask("POST", path, {"prompt": "x" * 200_001})
        assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "too_long", "prompt")


def test_what_is_not_done_is_not_served_and_says_when(server: Server) -> None:
    job = film(server, LONG)
    path = f"{VIDEOS}/{job['id']}"
    wait_until(lambda: made(server.ask("GET", path))["status"] == "in_progress")
    for more in ("/content", "/content?variant=thumbnail"):
        reply = server.ask("GET", path + more)
        assert (reply.status, reply.error["code"]) == (404, "not_completed")
        assert int(reply.headers["retry-after"]) > 0
    assert server.ask("POST", f"{path}/remix", {"prompt": "x"}).error["code"] == "not_completed"
    assert made(server.ask("DELETE", path))["deleted"]


def test_progress_is_told_and_never_goes_back(server: Server) -> None:
    job = film(server, "work 60")
    told = events(server, f"{JOBS}/{job['id']}")
    assert {event["type"] for event in told} == {"job"}
    progress = [event["progress"] for event in told]
    assert progress == sorted(progress)
    assert len(set(progress)) > 3
    assert (told[-1]["status"], told[-1]["progress"]) == ("completed", 100)
    assert [event["progress"] for event in told[:-1] if event["progress"] == 100] == []
    assert told[-1]["value"]["kind"] == "video"
    assert told[-1]["provenance"]["settings"] == {}
    assert "work 60" not in json.dumps(told[-1]), "prompts are not kept"


@pytest.mark.parametrize("model", ["films", "isolated"])
@pytest.mark.parametrize("way", ["delete", "cancel", "call"])
def test_an_end_that_is_asked_for_reaches_the_engine(server: Server, model: str, way: str) -> None:
    filmed, cancelled = server.counted.count("filmed"), server.counted.count("cancelled")
    job = film(server, LONG, model=model)
    wait_until(lambda: server.counted.count("filmed") > filmed)
    if way == "delete":
        assert made(server.ask("DELETE", f"{VIDEOS}/{job['id']}")) == {
            "id": job["id"], "object": "video.deleted", "deleted": True}  # fmt: skip
        assert server.ask("GET", f"{VIDEOS}/{job['id']}").error["code"] == "job_not_found"
    elif way == "cancel":
        assert made(server.ask("POST", f"{JOBS}/{job['id']}/cancel"))["status"] == "cancelled"
    else:
        assert server.ask("DELETE", f"/lollms/v2/calls/{job['id']}").status == 200
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
    if way != "delete":
        assert ended(server, f"{VIDEOS}/{job['id']}")["status"] == "cancelled"
        again = made(server.ask("POST", f"{JOBS}/{job['id']}/cancel"))
        assert again["status"] == "cancelled"
    assert ended(server, f"{VIDEOS}/{film(server, model=model)['id']}")["status"] == "completed"


def test_one_that_waits_is_cancelled_and_never_begins(server: Server) -> None:
    first = film(server, LONG)
    waiting = film(server, "never begun")
    assert made(server.ask("POST", f"{JOBS}/{waiting['id']}/cancel"))["status"] == "cancelled"
    server.ask("DELETE", f"{VIDEOS}/{first['id']}")
    ended(server, f"{VIDEOS}/{film(server)['id']}")
    assert not [line for line in server.counted.lines() if "never begun" in line]


def test_what_fails_is_told_and_masked(server: Server) -> None:
    job = ended(server, f"{VIDEOS}/{film(server, 'fail')['id']}")
    assert (job["status"], job["error"]["code"]) == ("failed", "engine_failed")
    assert "sk-aaa" not in job["error"]["message"]
    assert "/srv/models" not in job["error"]["message"]
    reply = server.ask("GET", f"{VIDEOS}/{job['id']}/content")
    assert (reply.status, reply.error["code"]) == (404, "not_completed")
    crashed = ended(server, f"{VIDEOS}/{film(server, 'crash', model='isolated')['id']}")
    assert (crashed["status"], crashed["error"]["code"]) == ("failed", "engine_failed")


def test_an_engine_that_is_not_started_again_yet_fails_nobody(server: Server) -> None:
    asked = "/lollms/v2/bindings/ttv/isolated/verbs/generate_video"
    for _ in range(10):  # each crash makes the next start wait for longer
        reply = server.ask("POST", asked, {"arguments": {"prompt": "crash"}})
        if reply.status == 503:
            break
        assert (reply.status, reply.headers["x-should-retry"], reply.error["code"]) == (500, "false", "engine_failed")
    assert (reply.status, reply.error["code"]) == (503, "restarting")
    assert int(reply.headers["retry-after"]) >= reply.error["lollms"]["fields"]["retry_after"]
    assert ended(server, f"{VIDEOS}/{film(server, model='isolated')['id']}")["status"] == "completed", "it waits"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"), ({"prompt": ""}, "prompt"), ({"prompt": "x", "size": "1x"}, "size"),
        ({"prompt": "x", "seconds": 0}, "seconds"), ({"prompt": "x", "seconds": "soon"}, "seconds"),
        ({"prompt": "x", "seconds": 10**9}, "seconds"), ({"prompt": "x", "size": "99999x99999"}, "width"),
        ({"prompt": "x", "colour": 1}, "colour"), ({"prompt": "x", "model": "none"}, "model"),
        ({"prompt": "x", "seconds": 3000}, "num_frames"), ({"prompt": "x", "num_frames": "1e400"}, "num_frames"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_once(server: Server, body: dict[str, Any], param: str) -> None:
    reply = server.ask("POST", VIDEOS, {"model": "films", **body})
    assert reply.status in (400, 404)
    assert reply.error["param"] == param


def test_lists_are_pages(server: Server) -> None:
    jobs = [film(server, f"page {n}")["id"] for n in range(5)]
    for job in jobs:
        ended(server, f"{VIDEOS}/{job}")
    first = made(server.ask("GET", f"{VIDEOS}?limit=3"))
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (jobs[:1:-1], True)
    assert (first["first_id"], first["last_id"]) == (jobs[4], jobs[2])
    second = made(server.ask("GET", f"{VIDEOS}?limit=2&after={first['last_id']}"))
    assert [row["id"] for row in second["data"]] == [jobs[1], jobs[0]]
    oldest = made(server.ask("GET", f"{VIDEOS}?limit=2&order=asc&after={jobs[0]}"))
    assert [row["id"] for row in oldest["data"]] == jobs[1:3]
    assert made(server.ask("GET", f"{VIDEOS}?after=video_none"))["data"] == []
    for query in ("limit=0", "limit=x", "limit=9999999", "order=up"):
        assert server.ask("GET", f"{VIDEOS}?{query}").status == 400
    assert made(server.ask("GET", f"{JOBS}?status=queued"))["data"] == []


def test_music_is_made_in_the_same_shape(server: Server) -> None:
    job = made(server.ask("POST", MUSIC, {"prompt": "a chord", "seconds": 1.5, "response_format": "mp3"}))
    assert job["object"] == "music"
    assert re.fullmatch(r"music_[0-9a-f]{32}", job["id"])
    assert ended(server, f"{MUSIC}/{job['id']}")["status"] == "completed"
    content = server.ask("GET", f"{MUSIC}/{job['id']}/content")
    assert content.headers["content-type"] == "audio/mpeg"
    assert (probe_audio(content.body)[3], round(probe_audio(content.body)[2], 1)) == ("mp3", 1.5)
    assert server.ask("GET", f"{VIDEOS}/{job['id']}").status == 404, "it is no film"
    assert [row["id"] for row in made(server.ask("GET", f"{MUSIC}?limit=1"))["data"]] == [job["id"]]
    wav = server.ask("POST", SPEAK, {"arguments": {"text": "x"}}).body
    body, headers = form({"prompt": "go on", "seconds": "1", "input_reference": ("x.wav", wav)})
    longer = made(server.ask("POST", MUSIC, body, headers))
    assert ended(server, f"{MUSIC}/{longer['id']}")["status"] == "completed"
    assert made(server.ask("DELETE", f"{MUSIC}/{longer['id']}"))["object"] == "music.deleted"


def test_any_verb_may_be_a_job(server: Server) -> None:
    for verb in ("generate_audio", "stream_audio"):
        path = f"/lollms/v2/bindings/tts/counting/verbs/{verb}"
        reply = server.ask("POST", path, {"arguments": {"text": "work 3"}}, ASYNC)
        job = made(reply, 202)
        assert reply.headers["preference-applied"] == "respond-async"
        assert reply.headers["location"] == f"{JOBS}/{job['id']}"
        assert ended(server, reply.headers["location"])["files"][0]["mime_type"] == "audio/wav"
        assert round(probe_audio(server.ask("GET", f"{JOBS}/{job['id']}/content").body)[2], 2) == 0.15
    body, headers = form({"arguments": '{"said": "one|two"}', "audio_path": ("x.wav", _wav())})
    for verb in ("transcribe_audio", "stream_transcript"):
        reply = server.ask("POST", f"/lollms/v2/bindings/stt/ears/verbs/{verb}", body, headers | ASYNC)
        path = f"{JOBS}/{made(reply, 202)['id']}"
        assert ended(server, path)["value"]["kind"] == "transcript"
        heard = made(server.ask("GET", f"{path}/content"))
        assert [segment["text"] for segment in heard["segments"]] == ["one", "two"]
    wrong = server.ask("POST", SPEAK, {"arguments": {"text": "x", "lowd": 1}}, ASYNC)
    assert wrong.error["param"] == "lowd", "what is wrong is told at once"


def _wav() -> bytes:
    return b"RIFF" + (36 + 800).to_bytes(4, "little") + (
        b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data" + (800).to_bytes(4, "little")
    ) + bytes(800)  # fmt: skip


def test_a_part_of_the_content_is_sent_as_asked_for(server: Server) -> None:
    job = film(server)
    path = f"{VIDEOS}/{job['id']}/content"
    ended(server, f"{VIDEOS}/{job['id']}")
    whole = server.ask("GET", path).body
    for said, part in (("bytes=0-9", whole[:10]), ("bytes=10-", whole[10:]), ("bytes=-7", whole[-7:])):
        reply = server.ask("GET", path, None, {"Range": said})
        assert (reply.status, reply.body) == (206, part)
        assert reply.headers["content-range"].endswith(f"/{len(whole)}")
    assert server.ask("GET", path, None, {"Range": f"bytes={len(whole)}-"}).status == 416
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))
    for said in ("bytes=5-2", "lines=1-2", "bytes=-"):
        assert server.ask("GET", path, None, {"Range": said}).status in (200, 416)
    assert server.ask("GET", path, None, {"Range": many}).body == whole


def test_a_request_that_is_sent_again_is_one_job(server: Server) -> None:
    again = {"Idempotency-Key": "once"}
    body = {"prompt": "once", "model": "films", "seed": 1}
    ids = {made(server.ask("POST", VIDEOS, body, again))["id"] for _ in range(3)}
    (job,) = ids
    assert ended(server, f"{VIDEOS}/{job}")["status"] == "completed"
    assert made(server.ask("POST", VIDEOS, body, again))["id"] == job
    assert sum("'once'" in line for line in server.counted.lines()) == 1
    other = server.ask("POST", VIDEOS, {**body, "seed": 2}, again)
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
    assert server.ask("POST", VIDEOS, body, {"Idempotency-Key": "x" * 300}).status == 400
    sent, headers = form({"prompt": "with", "model": "films", "input_reference": ("x.png", PNG)})
    twice = [made(server.ask("POST", VIDEOS, sent, {**headers, "Idempotency-Key": "w"}))["id"] for _ in range(2)]
    assert len(set(twice)) == 1


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "video_" + "0" * 32, "a\0b", "x" * 500, "..%2Fx", "video_é"])
def test_an_id_that_is_none_is_not_found(server: Server, job_id: str) -> None:
    from urllib.parse import quote

    for path in (VIDEOS, MUSIC, JOBS):
        for more in ("", "/content"):
            assert server.ask("GET", f"{path}/{quote(job_id, safe='%')}{more}").status == 404
    wait_until(lambda: ended(server, f"{VIDEOS}/{film(server)['id']}")["status"] == "completed")


KEYED = """
[serve]
keys_file = KEYS
[serve.jobs]
max_size = "5 kB"
max_queued = 3
keep = KEPT
[models.films]
binding = "counting"
modality = "ttv"
isolated = false
"""


def key(folder: Path, name: str, **more: Any) -> dict[str, str]:
    """The header of a new key."""
    return {"Authorization": f"Bearer {Keys(folder / 'keys.json').add(name, **more)}"}


@pytest.fixture
def keyed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    configuration = KEYED.replace("KEPT", getattr(request, "param", "[]"))
    with serving(tmp_path, configuration, lease=(0.3, 30.0)) as running:
        yield running


def test_a_job_is_its_owners_alone(keyed: Server, tmp_path: Path) -> None:
    anna, ben, boss = key(tmp_path, "anna"), key(tmp_path, "ben"), key(tmp_path, "boss", role="admin")
    body = {"prompt": "annas", "model": "films"}
    job = made(keyed.ask("POST", VIDEOS, body, anna))
    path = f"{VIDEOS}/{job['id']}"
    wait_until(lambda: made(keyed.ask("GET", path, None, anna))["status"] == "completed")
    nobodys = keyed.ask("GET", f"{VIDEOS}/video_{'0' * 32}", None, ben)
    for method, more in (("GET", ""), ("GET", "/content"), ("DELETE", ""), ("POST", "/remix")):
        reply = keyed.ask(method, path + more, {"prompt": "x"} if method == "POST" else None, ben)
        assert (reply.status, reply.error["code"]) == (404, "job_not_found")
        assert reply.body.replace(job["id"].encode(), b"video_" + b"0" * 32) == nobodys.body, "the same for all"
        assert keyed.ask(method, path + more, {"prompt": "x"} if method == "POST" else None).status == 401
    assert made(keyed.ask("GET", VIDEOS, None, ben))["data"] == []
    assert made(keyed.ask("GET", JOBS, None, ben))["data"] == []
    assert [row["id"] for row in made(keyed.ask("GET", JOBS, None, boss))["data"]] == [job["id"]]
    measured = keyed.ask("GET", "/metrics", None, boss).body.decode()
    assert 'lollms_jobs{kind="video",state="completed"} 1.0' in measured
    assert 'lollms_jobs_ended_total{kind="video",outcome="completed"} 1.0' in measured
    # A request of another that has the same name is another.
    again = {"Idempotency-Key": "same"}
    one, other = (made(keyed.ask("POST", VIDEOS, body, who | again))["id"] for who in (anna, ben))
    assert one != other
    # A key that takes the name of one that was removed is another's.
    Keys(tmp_path / "keys.json").remove("anna")
    another = key(tmp_path, "anna")
    known = json.loads((tmp_path / "keys.json").read_text())
    known["keys"][-1]["created"] = "2040-01-01T00:00:00+00:00"  # keys are dated to the second
    write_private(tmp_path / "keys.json", known)
    assert keyed.ask("GET", path, None, another).status == 404


def test_what_waits_of_a_key_that_is_removed_is_failed(keyed: Server, tmp_path: Path) -> None:
    anna, boss = key(tmp_path, "anna"), key(tmp_path, "boss", role="admin")
    busy = made(keyed.ask("POST", VIDEOS, {"prompt": LONG, "model": "films"}, boss))
    waits = made(keyed.ask("POST", VIDEOS, {"prompt": "annas", "model": "films"}, anna))
    Keys(tmp_path / "keys.json").remove("anna")
    path = f"{JOBS}/{waits['id']}"
    wait_until(lambda: made(keyed.ask("GET", path, None, boss))["status"] == "failed")
    error = made(keyed.ask("GET", path, None, boss))["error"]
    assert error["code"] == "job_lost"
    assert "the key was removed" in error["message"]
    keyed.ask("DELETE", f"{JOBS}/{busy['id']}", None, boss)


@pytest.mark.parametrize("keyed", ["[]", '["prompts", "uploads"]'], ids=["nothing kept", "kept"], indirect=True)
def test_it_says_when_it_is_full_and_when_too_many_wait(keyed: Server, request: pytest.FixtureRequest) -> None:
    body, headers = form({"model": "films", "prompt": "kept words", "input_reference": ("x.png", PNG)})
    first = made(keyed.ask("POST", VIDEOS, body, headers))
    kept = "nothing" not in request.node.callspec.id
    assert ended(keyed, f"{VIDEOS}/{first['id']}")["prompt"] == ("kept words" if kept else None)
    folder = keyed.log.with_name("results") / first["id"]
    wait_until(lambda: sorted(path.suffix for path in folder.iterdir()) == ([""] if kept else []) + [".mp4", ".webp"])
    busy = film(keyed, LONG)
    wait_until(lambda: made(keyed.ask("GET", f"{VIDEOS}/{busy['id']}"))["status"] == "in_progress")
    waiting = [film(keyed, "waits") for _ in range(3)]
    many = keyed.ask("POST", VIDEOS, {"prompt": "x", "model": "films"})
    assert (many.status, many.error["code"]) == (429, "rate_limit_exceeded")
    assert int(many.headers["retry-after"]) > 0
    for job in (busy, *waiting[:2]):
        keyed.ask("DELETE", f"{VIDEOS}/{job['id']}")
    ended(keyed, f"{VIDEOS}/{waiting[2]['id']}")
    while (reply := keyed.ask("POST", VIDEOS, {"prompt": "more", "model": "films", "size": "256x256"})).status == 200:
        ended(keyed, f"{VIDEOS}/{reply.json['id']}")
    assert (reply.status, reply.error["code"], reply.headers["x-should-retry"]) == (
        507, "insufficient_storage", "false")  # fmt: skip
    assert ended(keyed, f"{VIDEOS}/{first['id']}")["status"] == "completed", "nothing is deleted before its time"
    assert keyed.ask("DELETE", f"{VIDEOS}/{first['id']}").status == 200
    for row in made(keyed.ask("GET", VIDEOS))["data"]:
        keyed.ask("DELETE", f"{VIDEOS}/{row['id']}")
    assert ended(keyed, f"{VIDEOS}/{film(keyed)['id']}")["status"] == "completed"
