"""The five bindings against servers on loopback that answer as real ones do, the ugly ways included."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lollms_client.stt_bindings.lollms import LollmsSTTBinding_Impl
from lollms_client.tti_bindings.lollms import LollmsTTIBinding_Impl
from lollms_client.ttm_bindings.lollms import LollmsTTMBinding_Impl
from lollms_client.tts_bindings.lollms import LollmsTTSBinding_Impl
from lollms_client.ttv_bindings.lollms import LollmsTTVBinding_Impl
from lollms_modalities import (
    Audio,
    CallCancelled,
    CancelToken,
    GenerationError,
    Image,
    MediaError,
    OptionError,
    ServiceAuthError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
    UnsupportedError,
    Video,
)
from loopback import Reply, Request, Server, serving
from served import KEY, WAV

pytestmark = pytest.mark.usefixtures("forgetting")

MP3 = bytes(Audio(WAV).convert("mp3"))
JPEG = bytes(Image.from_pixels(np.full((16, 24, 3), 90, np.uint8), "jpeg"))
TEXT_500 = Reply(b"Internal Server Error", 500, {"Content-Type": "text/plain; charset=utf-8"})
PAGE = Reply(b"<!doctype html><title>LoLLMs</title>", 200, {"Content-Type": "text/html"})
READY = {"GET /tts_is_ready": Reply({"status": True})}
BLOCKED = Reply({"status": False, "error": "Code execution is blocked when the server is exposed."})


@pytest.fixture
def classic() -> Iterator[Server]:
    """An unknown GET is 500 plain text, an unknown POST 405."""

    def unknown(request: Request) -> Reply:
        return TEXT_500 if request.method == "GET" else Reply({"detail": "Method Not Allowed"}, 405)

    with serving({**READY, "*": unknown}) as server:
        yield server


@pytest.fixture
def modern() -> Iterator[Server]:
    """An unknown GET is 200 and a web page, an unknown POST 405."""

    def unknown(request: Request) -> Reply:
        return PAGE if request.method == "GET" else Reply({"detail": "Method Not Allowed"}, 405)

    def capabilities(request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return Reply({"detail": "Not authenticated"}, 401)
        return Reply({"capabilities": {}, "active_bindings": {}})

    with serving({"GET /lollms/v1/capabilities": capabilities, "*": unknown}) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[Server]:
    models = {"object": "list", "data": [{"id": "whisper-1", "object": "model"}]}
    with serving({"GET /v1/models": Reply(models), "*": Reply({"error": {"message": "no such route"}}, 404)}) as server:
        yield server


# --- telling them apart ---------------------------------------------------------------------------------------------


def test_each_protocol_is_found_out_once_and_without_credentials(
    classic: Server, modern: Server, openai: Server
) -> None:
    for server, protocol in ((classic, "classic"), (modern, "modern"), (openai, "openai")):
        first, second = (LollmsTTSBinding_Impl(f"{server.url}{end}", service_key=KEY) for end in ("/", "/v1"))
        assert first.model.protocol == second.model.protocol == protocol
        probes = list(server.asked)
        assert probes
        assert not any("Authorization" in r.headers or KEY in r.path for r in probes)
        assert LollmsSTTBinding_Impl(server.url).model.protocol == protocol
        assert len(server.asked) == len(probes)


@pytest.mark.parametrize(
    ("routes", "said"),
    [({"*": PAGE}, "speaks none of the protocols"), ({"*": TEXT_500}, "speaks none of the protocols"),
     ({"*": Reply({"detail": "Not Found"}, 404)}, "speaks none of the protocols")],
)  # fmt: skip
def test_a_server_of_none_of_them(routes: dict[str, Any], said: str) -> None:
    with serving(routes) as server:
        tts = LollmsTTSBinding_Impl(server.url, max_retries=0)
        with pytest.raises(ServiceResponseError, match=said):
            tts.generate_audio("hi")
        server.routes |= READY  # it was starting: nothing wrong was remembered
        server.routes["POST /tts/file"] = Reply(WAV)
        assert tts.generate_audio("hi") == WAV


def test_nobody_is_there() -> None:
    with serving({}) as server:
        url = server.url
    tts = LollmsTTSBinding_Impl(url, max_retries=0)
    with pytest.raises(ServiceError, match="cannot be reached") as caught:
        tts.generate_audio("hi")
    assert caught.value.retryable
    with pytest.raises(SettingsError, match="is no address"):
        LollmsTTSBinding_Impl("not an address")


# --- speech ---------------------------------------------------------------------------------------------------------


def test_classic_speech_by_its_file(classic: Server) -> None:
    classic.routes |= {
        "POST /tts/file": Reply(WAV, headers={"Content-Type": "audio/wav"}),
        "GET /tts/voices": Reply({"voices": ["a", "b"]}),
    }
    tts = LollmsTTSBinding_Impl(classic.url, "main", service_key=KEY)
    result = tts.generate_audio("hi", language="en-GB")
    assert result == WAV
    assert classic.asked[-1].json == {"text": "hi", "speaker": "main", "language": "en"}
    tts.generate_audio("hi", voice="b")
    assert classic.asked[-1].json["speaker"] == "b"
    assert tts.list_voices() == ["a", "b"]
    assert result.provenance is not None
    assert (result.provenance.binding, result.provenance.extra) == ("lollms", {"protocol": "classic"})
    assert not any("Authorization" in r.headers for r in classic.asked)


def test_classic_speech_by_its_address(classic: Server) -> None:
    def wave(request: Request) -> Reply:
        assert request.json["voice"] == "first"
        assert request.json["fn"].endswith(".wav")
        return Reply({"url": f"/outputs/audio_out/{request.json['fn']}"})

    classic.routes |= {
        "POST /tts/file": Reply({"detail": "TTS failed"}, 500), "GET /tts/voices": Reply({"error": "x"}, 500),
        "GET /list_voices": Reply({"voices": ["first"]}), "POST /text2Wave": wave,
    }  # fmt: skip
    classic.routes["*"] = lambda r: Reply(MP3) if r.path.startswith("/outputs/") else TEXT_500
    result = LollmsTTSBinding_Impl(classic.url, max_retries=0).generate_audio("hi")
    assert (result.format, result.sample_rate) == ("wav", 16000), "what came as MP3 is made WAV"
    names = []
    for _ in range(2):
        LollmsTTSBinding_Impl(classic.url, max_retries=0).generate_audio("hi")
        names.append([r.json["fn"] for r in classic.asked if r.path == "/text2Wave"][-1])
    assert names[0] != names[1], "calls do not collide"


@pytest.mark.parametrize("given", [{}, {"client_id": "setting"}, {"call": "call"}])
def test_classic_speech_by_its_saved_file(classic: Server, given: dict[str, str]) -> None:
    classic.routes |= {
        "POST /text2Wave": BLOCKED,
        "POST /text2Audio": Reply(b"null", headers={"Content-Type": "application/json"}),
    }
    classic.routes["GET /list_voices"] = Reply({"status": False, "error": "TTS is not active"})
    before = classic.routes["*"]
    classic.routes["*"] = lambda r: Reply(WAV) if r.path.startswith("/audio/") else before(r)  # type: ignore[operator]
    settings = {k: v for k, v in given.items() if k != "call"}
    tts = LollmsTTSBinding_Impl(classic.url, service_key=KEY, max_retries=0, **settings)
    assert tts.generate_audio("hi", client_id=given.get("call")) == WAV
    body = next(r.json for r in classic.asked if r.path == "/text2Audio")
    assert body["client_id"] == (given.get("call") or given.get("client_id") or KEY)
    assert body["voice"] == "main_voice", "null would be refused"


def test_a_classic_server_that_keeps_the_sound(classic: Server) -> None:
    classic.routes["POST /text2Audio"] = Reply(b"null", headers={"Content-Type": "application/json"})
    tts = LollmsTTSBinding_Impl(classic.url, max_retries=0)
    with pytest.warns(UserWarning, match="keeps the sound to itself"):
        assert tts.generate_audio("hi") == b""


def test_a_classic_server_that_cannot_speak_says_all_it_said(classic: Server) -> None:
    classic.routes |= {
        "POST /tts/file": Reply({"detail": "no engine"}, 500), "POST /text2Wave": BLOCKED,
        "POST /text2Audio": Reply({"url": None, "error": "No TTS service is on"}),
    }  # fmt: skip
    with pytest.raises(ServiceError, match=r"Code execution is blocked.*no engine.*No TTS service is on"):
        LollmsTTSBinding_Impl(classic.url, max_retries=0).generate_audio("hi")


def test_modern_speech(modern: Server) -> None:
    voices = {"object": "list", "data": [{"voice_id": "v1", "name": "One", "category": "x", "language": "en"}]}
    modern.routes |= {
        # The content type is a label only.
        "POST /lollms/v1/audio/speech": Reply(WAV, headers={"Content-Type": "audio/mpeg"}),
        "GET /lollms/v1/audio/voices": Reply(voices),
    }
    tts = LollmsTTSBinding_Impl(modern.url, service_key=KEY)
    assert tts.generate_audio("hi", voice="v1", speed=1.5, language="fr") == WAV
    asked = modern.asked[-1]
    assert asked.json == {"input": "hi", "voice": "v1", "response_format": "wav", "speed": 1.5, "language": "fr"}
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert tts.list_voices() == ["v1"]
    row = {"name": "v1", "language": "en", "gender": "", "sample": None, "default": False}
    assert tts.describe_voices() == [row]
    more = {"voice_id": "v2", "language": "pt_BR", "gender": "Female", "preview_url": "http://x/y.mp3"}
    modern.routes["GET /lollms/v1/audio/voices"] = Reply({"data": [*voices["data"], more, "v3", {"voice_id": "v4"}]})
    told = LollmsTTSBinding_Impl(modern.url, model_name="v2").describe_voices()
    assert [(r["name"], r["language"], r["gender"], r["default"]) for r in told] == [
        ("v1", "en", "", False), ("v2", "pt-BR", "female", True), ("v3", "", "", False), ("v4", "", "", False),
    ]  # fmt: skip
    modern.routes["POST /lollms/v1/audio/speech"] = Reply(
        {"detail": [{"loc": ["body", "voice"], "msg": "unknown", "input": "hi"}]}, 422
    )
    with pytest.raises(ServiceError, match=r"body\.voice: unknown"):
        tts.generate_audio("hi")
    modern.routes["POST /lollms/v1/audio/speech"] = PAGE
    with pytest.raises(ServiceResponseError, match="are no sound"):
        tts.generate_audio("hi")
    disabled = Reply({"detail": "OpenAI API service is not enabled by the administrator."}, 403)
    modern.routes["POST /lollms/v1/audio/speech"] = disabled
    with pytest.raises(ServiceAuthError, match="not enabled by the administrator"):
        tts.generate_audio("hi")


def test_openai_speech(openai: Server) -> None:
    openai.routes["POST /v1/audio/speech"] = Reply(WAV, headers={"Content-Type": "audio/wav"})
    tts = LollmsTTSBinding_Impl(openai.url, service_key=KEY)
    assert tts.generate_audio("hi", model="tts-9") == WAV
    assert openai.asked[-1].json == {"input": "hi", "voice": "alloy", "model": "tts-9", "response_format": "wav"}
    assert tts.list_voices() == []


def test_what_the_official_client_reads(openai: Server) -> None:
    """The answers that the fixture plays are parsed by the official client: the fixture is true."""
    import openai as official

    openai.routes |= {
        "POST /v1/audio/speech": Reply(WAV), "POST /v1/audio/transcriptions": transcribed,
        "POST /v1/images/generations": Reply({"created": 1, "data": [{"b64_json": base64.b64encode(JPEG).decode()}]}),
    }  # fmt: skip
    with official.OpenAI(api_key=KEY, base_url=f"{openai.url}/v1", max_retries=0) as client:
        assert client.audio.speech.create(model="x", voice="alloy", input="hi").content == WAV
        heard = client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", WAV), response_format="verbose_json", timestamp_granularities=["word"]
        )
        assert heard.text == "hello there"
        assert heard.words is not None
        assert heard.words[0].word == "hello"
        made = client.images.generate(prompt="x", model="y")
        assert made.data is not None
        assert made.data[0].b64_json
        assert [m.id for m in client.models.list()] == ["whisper-1"]


# --- transcription --------------------------------------------------------------------------------------------------


def transcribed(request: Request) -> Reply:
    parts = request.parts
    assert parts["file"] == WAV
    assert parts["file.filename"].endswith(".wav")
    if parts["response_format"] == b"json":
        return Reply({"text": " hello there ", "usage": {"type": "duration", "seconds": 1}})
    words = [{"word": "hello", "start": 0.0, "end": 0.2}, {"word": "there", "start": 0.2, "end": 0.5}]
    segment = {
        "id": 0, "seek": 0, "start": 0.0, "end": 0.5, "text": " hello there", "tokens": [], "temperature": 0.0,
        "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0,
    }  # fmt: skip
    return Reply({"task": "transcribe", "language": "english", "duration": 0.5, "text": "hello there", "words": words,
                  "segments": [segment]})  # fmt: skip


def test_classic_transcription(classic: Server, tmp_path: Path) -> None:
    def transcribe(request: Request) -> Reply:
        assert (request.parts["file"], request.parts["file.filename"]) == (WAV, "audio.wav")
        return Reply({"transcription": " hello there "})

    classic.routes["POST /transcribe"] = transcribe
    stt = LollmsSTTBinding_Impl(classic.url, max_retries=0)
    path = tmp_path / "x.dat"
    path.write_bytes(WAV)
    for given in (WAV, Audio(WAV), path):
        heard = stt.transcribe_audio(given)
        assert heard == "hello there"
        assert heard.duration == 0.5
    assert stt.list_models() == []
    classic.routes["GET /list_stt_models"] = Reply({"voices": ["m"]})  # the real key
    assert stt.list_models() == ["m"]
    asked = len(classic.asked)
    with pytest.raises(MediaError):
        stt.transcribe_audio(b"no sound at all")
    assert len(classic.asked) == asked, "what is no sound is not sent away"


def test_classic_transcription_as_the_older_documentation_has_it(classic: Server) -> None:
    def documented(request: Request) -> Reply:
        assert base64.b64decode(request.json["audio_data"]) == WAV
        assert request.json["client_id"] == "me"
        return Reply({"text": "hello"})

    classic.routes |= {
        "POST /transcribe": Reply({"error": "STT service not available"}, 503),
        "POST /audio2text": documented,
    }
    assert LollmsSTTBinding_Impl(classic.url, client_id="me", max_retries=0).transcribe_audio(WAV) == "hello"
    classic.routes["POST /audio2text"] = TEXT_500
    with pytest.raises(ServiceError, match=r"STT service not available.*Internal Server Error"):
        LollmsSTTBinding_Impl(classic.url, max_retries=0).transcribe_audio(WAV)


def test_modern_transcription_is_for_users(modern: Server) -> None:
    def token(request: Request) -> Reply:
        good = request.body == b"username=me&password=p%26w"
        return Reply({"access_token": "jwt-1"}) if good else Reply({"detail": "Incorrect username or password"}, 401)

    def stt_(request: Request) -> Reply:
        assert request.headers["Authorization"] == "Bearer jwt-1"
        return Reply({"text": "hello"})

    modern.routes |= {"POST /api/auth/token": token, "POST /api/discussions/stt": stt_}
    with pytest.raises(SettingsError, match="user_name and user_password"):
        LollmsSTTBinding_Impl(modern.url, service_key=KEY).transcribe_audio(WAV)
    stt = LollmsSTTBinding_Impl(modern.url, user_name="me", user_password="p&w")
    assert stt.transcribe_audio(WAV) == stt.transcribe_audio(WAV) == "hello"
    assert sum(r.path == "/api/auth/token" for r in modern.asked) == 1
    with pytest.raises(ServiceAuthError, match="Incorrect username") as caught:
        LollmsSTTBinding_Impl(modern.url, user_name="me", user_password="wrong-pw").transcribe_audio(WAV)
    assert "wrong-pw" not in str(caught.value)


def test_openai_transcription(openai: Server) -> None:
    openai.routes["POST /v1/audio/transcriptions"] = transcribed
    stt = LollmsSTTBinding_Impl(openai.url, service_key=KEY)
    heard = stt.transcribe_audio(WAV, language="en", prompt="names")
    assert heard == "hello there"
    assert {k: v for k, v in openai.asked[-1].parts.items() if "." not in k and k != "file"} == {
        "model": b"whisper-1", "response_format": b"json", "language": b"en", "prompt": b"names",
    }  # fmt: skip
    assert heard.provenance is not None
    assert heard.provenance.usage["seconds"] == 1
    timed = stt.transcribe_audio(WAV, timestamps="word")
    assert [w.text for w in timed.words] == ["hello", "there"]
    assert (timed.segments[0].text, timed.language) == ("hello there", "en")
    assert stt.list_models() == ["whisper-1"]


# --- images ---------------------------------------------------------------------------------------------------------


def test_classic_images(classic: Server) -> None:
    rows = [{"name": "steps", "type": "int", "value": 20, "help": ""}]
    classic.routes |= {
        "POST /generate_image": Reply({"image": base64.b64encode(JPEG).decode()}),
        "POST /list_tti_services": Reply([{"name": "sd", "caption": "SD", "help": "h", "more": 1}]),
        "POST /get_active_tti_settings": Reply(rows), "POST /set_active_tti_settings": Reply({"status": True}),
    }  # fmt: skip
    tti = LollmsTTIBinding_Impl(classic.url, service_key=KEY)
    image = tti.generate_image("a cat", "dogs", width=24, height=16)
    assert classic.asked[-1].json == {"prompt": "a cat", "negative_prompt": "dogs", "width": 24, "height": 16}
    assert (image.format, image.width, image.height) == ("png", 24, 16)
    assert tti.generate_image("a cat", output_format="jpeg") == JPEG
    assert tti.list_services() == [{"name": "sd", "caption": "SD", "help": "h"}]
    assert classic.asked[-1].json == {"client_id": KEY}
    assert tti.get_settings() == rows
    assert tti.set_settings([{"name": "steps", "value": 30}], client_id="other") is True
    assert classic.asked[-1].json == {"client_id": "other", "settings": [{**rows[0], "value": 30}]}
    classic.routes["POST /get_active_tti_settings"] = Reply({})
    assert tti.get_settings() == []
    assert tti.settings.host_address == classic.url, "the binding's own are in .settings"
    classic.routes["POST /list_tti_services"] = Reply({"detail": "Not accessible without id"}, 400)
    with pytest.raises(ServiceError, match="Not accessible without id"):
        tti.list_services()
    with pytest.raises(UnsupportedError, match="does not edit"):
        tti.edit_image("a hat", image=JPEG)


@pytest.mark.parametrize(
    ("reply", "said"),
    [(Reply({"detail": "500: Image generation failed"}, 500), "Image generation failed"), (Reply({"image": None}), "without an image"),
     (Reply({"image": "AAAA"}), "are no image"), (Reply({"image": base64.b64encode(JPEG).decode()[:-3]}), "damaged"), (PAGE, "web page")],
)  # fmt: skip
def test_images_that_are_none(classic: Server, reply: Reply, said: str) -> None:
    classic.routes["POST /generate_image"] = reply
    with pytest.raises(ServiceError, match=said):
        LollmsTTIBinding_Impl(classic.url, max_retries=0).generate_image("x")


def test_modern_and_openai_images(modern: Server, openai: Server) -> None:
    made = Reply({"data": [{"b64_json": base64.b64encode(JPEG).decode(), "revised_prompt": "a fine cat"}]})
    for server in (modern, openai):
        server.routes |= {"POST /v1/images/generations": made, "POST /v1/images/edits": made}
        tti = LollmsTTIBinding_Impl(server.url, "alias/model", service_key=KEY)
        image = tti.generate_image("a cat", "dogs", width=24, height=16, quality="high")
        assert server.asked[-1].json == {
            "prompt": "a cat\n\nLeave out: dogs", "model": "alias/model", "n": 1, "size": "24x16", "quality": "high",
            "response_format": "b64_json",
        }  # fmt: skip
        assert image.provenance is not None
        assert image.provenance.extra["revised_prompt"] == "a fine cat"
        assert tti.edit_image("a hat", image=JPEG, mask=JPEG).width == 24
        assert server.asked[-1].parts["mask"] == JPEG
        assert {row["name"] for row in tti.get_settings()} >= {"host_address", "service_key"}
        assert tti.set_settings({"model_name": "other"})
    assert openai.asked
    assert LollmsTTIBinding_Impl(openai.url).list_services() == [
        {"name": "whisper-1", "caption": "whisper-1", "help": ""}
    ]


# --- music and video ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["classic", "modern", "openai"])
def test_servers_without_music_or_video(which: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(which)
    ttm, ttv = LollmsTTMBinding_Impl(server.url, max_retries=0), LollmsTTVBinding_Impl(server.url, max_retries=0)
    assert ttm.list_models() == ttv.list_models() == []
    with pytest.raises(UnsupportedError, match="makes no music: it has no v1/music"):
        ttm.generate_music("x")
    with pytest.raises(UnsupportedError, match="makes no video: it has no v1/videos"):
        ttv.generate_video("x")


def job(server: Server, path: str, states: list[dict[str, Any]], content: bytes) -> None:
    """A job that goes through these states."""
    left = list(states)
    server.routes |= {
        f"POST {path}": Reply({"id": "job-1", "object": "video", "status": "queued", "progress": 0}),
        f"GET {path}/job-1": lambda request: Reply({"id": "job-1", **(left.pop(0) if len(left) > 1 else left[0])}),
        f"GET {path}/job-1/content": Reply(content),
        f"DELETE {path}/job-1": Reply({"id": "job-1", "deleted": True}),
    }


def test_jobs_with_progress(openai: Server) -> None:
    clip = bytes(Video.from_frames([np.full((16, 16, 3), n, np.uint8) for n in range(4)], 8))
    running = [{"status": "in_progress", "progress": p} for p in (10, 60, 40)]
    job(openai, "/v1/videos", [*running, {"status": "completed", "progress": 100}], clip)
    seen: list[float] = []
    ttv = LollmsTTVBinding_Impl(openai.url, "sora", service_key=KEY)
    assert ttv.generate_video("x", duration=4, width=16, height=16, progress=lambda p: seen.append(p.done)) == clip
    body = next(r.json for r in openai.asked if r.method == "POST")
    assert body == {"prompt": "x", "model": "sora", "seconds": "4", "size": "16x16"}
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 100)
    job(openai, "/v1/music", [{"status": "succeeded"}], MP3)
    assert LollmsTTMBinding_Impl(openai.url).generate_music("x").format == "wav"


def test_jobs_that_fail_and_jobs_that_are_stopped(openai: Server) -> None:
    job(openai, "/v1/videos", [{"status": "failed", "error": {"message": "not allowed"}}], b"")
    ttv = LollmsTTVBinding_Impl(openai.url)
    with pytest.raises(GenerationError, match="video job has failed: not allowed"):
        ttv.generate_video("x")
    job(openai, "/v1/videos", [{"status": "in_progress", "progress": 1}], b"")
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    began = time.monotonic()
    with pytest.raises(CallCancelled):
        ttv.generate_video("x", cancel=token)
    assert time.monotonic() - began < 1.5
    until = time.monotonic() + 3
    while not any(r.method == "DELETE" for r in openai.asked) and time.monotonic() < until:
        time.sleep(0.02)
    assert any(r.method == "DELETE" for r in openai.asked), "the job is taken back"
    openai.routes["POST /v1/videos"] = Reply({"id": "../x"})
    with pytest.raises(ServiceResponseError, match="without telling its id"):
        ttv.generate_video("x")


# --- all of them ----------------------------------------------------------------------------------------------------


def test_secrets_are_nowhere(classic: Server, modern: Server, openai: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    modern.routes["POST /lollms/v1/audio/speech"] = Reply(WAV)
    openai.routes["POST /v1/audio/speech"] = Reply(WAV)
    classic.routes["POST /tts/file"] = Reply(WAV)
    for server in (classic, modern, openai):
        tts = LollmsTTSBinding_Impl(
            server.url, service_key=KEY, user_name="me", user_password="pw-sesame", max_retries=0
        )
        result = tts.generate_audio("hi")
        assert result.provenance is not None
        told += [json.dumps(result.provenance.to_json()), repr(pickle.dumps(result)), repr(tts), repr(tts.settings)]
        told += [json.dumps(tts.get_settings())]
        server.routes["*"] = Reply(f"what is {KEY} or pw-sesame".encode(), 400, {"Content-Type": "text/plain"})
        server.routes = {k: v for k, v in server.routes.items() if not k.startswith("POST")}
        with pytest.raises(ServiceError) as caught:
            tts.generate_audio("hi")
        told += [str(caught.value), repr(vars(caught.value)), repr(pickle.dumps(caught.value))]
    told.append(caplog.text)
    assert not [text for text in told if KEY in text or "pw-sesame" in text]
    for request in classic.asked:
        assert not any(KEY in value for value in request.headers.values()), "never as a key with a classic server"
    for request in (*modern.asked, *openai.asked):
        assert KEY.encode() not in request.body, "never in a body with the others"
        assert KEY not in request.path
    with pytest.raises(OptionError, match="Did you mean 'client_id'"):
        LollmsTTSBinding_Impl(classic.url).generate_audio("hi", clientid="x")
