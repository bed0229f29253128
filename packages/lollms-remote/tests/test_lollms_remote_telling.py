"""More kinds of servers to be told apart, and what they do with keys, tokens, images and failures, played on loopback."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lollms_client.stt_bindings.lollms import LollmsSTTBinding_Impl
from lollms_client.tti_bindings.dalle import DalleTTIBinding_Impl
from lollms_client.tti_bindings.lollms import LollmsTTIBinding_Impl
from lollms_client.tts_bindings.lollms import LollmsTTSBinding_Impl
from lollms_modalities import (
    OptionError,
    ServiceAuthError,
    ServiceError,
    ServiceResponseError,
    SettingsError,
)
from loopback import Reply, Request, Route, Server, serving
from served import KEY, PNG, WAV

pytestmark = pytest.mark.usefixtures("forgetting")

PACKED = base64.b64encode(PNG).decode()
NOT_FOUND = Reply({"detail": "Not Found"}, 404)
MODELS = Reply({"data": [{"id": "m"}]})
CAPABLE = Reply({"capabilities": {}})


# --- telling them apart ---------------------------------------------------------------------------------------------


def guarded(guard: Reply, **inside: Reply) -> dict[str, Route]:
    """Who comes without the key is sent away, whatever is asked for."""

    def behind(reply: Reply) -> Callable[[Request], Reply]:
        return lambda request: reply if request.headers.get("Authorization") == f"Bearer {KEY}" else guard

    return {"*": behind(NOT_FOUND), **{f"GET /{path}": behind(reply) for path, reply in inside.items()}}


DETAIL, TEXT = Reply({"detail": "Not authenticated"}, 401), Reply(b"Unauthorized", 401, {"Content-Type": "text/plain"})
OPENAI, MODERN = {"v1/models": MODELS}, {"lollms/v1/capabilities": CAPABLE}


@pytest.mark.parametrize(
    ("routes", "protocol"),
    [
        (guarded(DETAIL, **OPENAI), "openai"), (guarded(DETAIL, **MODERN), "modern"), (guarded(TEXT, **OPENAI), "openai"),
        (guarded(TEXT, **MODERN), "modern"), (guarded(Reply({"error": {"message": "no"}}, 403), **OPENAI), "openai"),
        ({"GET /v1/models": Reply([{"id": "a"}, {"id": "b"}])}, "openai"),
        ({"GET /v1/models": Reply({"object": "list", "data": None})}, "openai"),
        ({"GET /v1/models": Reply(b'{"data": []}', headers={"Content-Type": ""})}, "openai"),
        ({"POST /v1/audio/speech": Reply({"error": {"message": "no model"}}, 500)}, "openai"),
    ],
)  # fmt: skip
def test_they_are_told_apart(routes: dict[str, Route], protocol: str) -> None:
    with (
        serving({"*": NOT_FOUND, **routes}) as server,
        LollmsTTSBinding_Impl(server.url, service_key=KEY, max_retries=0) as tts,
    ):
        assert tts.model.protocol == protocol


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_server_that_lets_nobody_in_says_so(key: str | None) -> None:
    with serving(guarded(TEXT)) as server, LollmsTTSBinding_Impl(server.url, service_key=key, max_retries=0) as tts:
        with pytest.raises(ServiceAuthError, match=r"without the right key.*Give service_key") as caught:
            tts.generate_audio("hi")
        assert caught.value.status == 401


def test_a_server_of_none_of_them_is_told_by_what_it_answers() -> None:
    with (
        serving({"*": Reply({"error": "x"}, 503), "GET /v1/models": Reply({"error": "x"}, 429)}) as server,
        LollmsTTSBinding_Impl(server.url, max_retries=0) as tts,
        pytest.raises(ServiceResponseError) as caught,
    ):
        tts.generate_audio("hi")
    assert "503 to lollms/v2, lollms/v1/capabilities, tts_is_ready, v1/audio/speech" in str(caught.value)
    assert "; 429 to v1/models." in str(caught.value)


# --- users ----------------------------------------------------------------------------------------------------------


def test_many_at_once_whose_token_ended() -> None:
    lock, number = threading.Lock(), [0]

    def token(request: Request) -> Reply:
        with lock:
            number[0] += 1
            return Reply({"access_token": f"jwt-{number[0]}"})

    def hear(request: Request) -> Reply:
        fits = request.headers.get("Authorization") == f"Bearer jwt-{number[0]}"
        return Reply({"text": "hello"}) if fits else Reply({"detail": "expired"}, 401)

    routes = {"GET /lollms/v1/capabilities": CAPABLE, "POST /api/auth/token": token, "POST /api/discussions/stt": hear}
    with (
        serving(routes) as server,
        LollmsSTTBinding_Impl(server.url, user_name="me", user_password="pw") as stt,
        ThreadPoolExecutor(8) as pool,
    ):
        for ended in range(3):
            assert set(pool.map(lambda _: stt.transcribe_audio(WAV), range(16))) == {"hello"}
            assert number[0] == 2 * ended + 1, "one log-in for all"
            number[0] += 1


# --- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failed",
    [
        Reply({"detail": "500: out of memory"}, 500),
        Reply(b"out of memory", 500, {"Content-Type": "text/plain; charset=utf-8"}),
        Reply(b"<title>out of memory</title>", 500, {"Content-Type": "text/html"}),
    ],
    ids=["JSON", "text", "page"],
)
def test_speech_that_failed_in_the_engine_is_not_made_in_another_way(failed: Reply) -> None:
    def fails(request: Request) -> Reply:
        return Reply({"detail": [{"loc": ["body"], "msg": "Field required"}]}, 422) if request.body == b"{}" else failed

    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /text2Wave": fails, "POST /transcribe": fails,
        "POST /tts/file": Reply(WAV), "POST /audio2text": Reply({"text": "hello"}),
    }  # fmt: skip
    with serving(routes) as server:
        with LollmsTTSBinding_Impl(server.url) as tts, pytest.raises(ServiceError) as caught:
            tts.generate_audio("hi")
        assert caught.value.status == 500
        with LollmsSTTBinding_Impl(server.url) as stt, pytest.raises(ServiceError):
            stt.transcribe_audio(WAV)
        assert [r.path for r in server.asked if r.method == "POST" and r.body != b"{}"] == ["/text2Wave", "/transcribe"]


def test_sound_that_was_made_and_is_not_given_is_asked_for_in_another_way() -> None:
    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /text2Wave": Reply({"url": "/none.wav"}),
        "GET /none.wav": Reply(b"Internal Server Error", 500, {"Content-Type": "text/plain"}),
        "POST /tts/file": Reply(WAV),
    }  # fmt: skip
    with serving(routes) as server, LollmsTTSBinding_Impl(server.url) as tts:
        assert tts.generate_audio("hi").duration


def test_one_at_a_time_by_whatever_name_this_machine_is_called() -> None:
    lock, speaking, most = threading.Lock(), [0], [0]

    def speak(request: Request) -> Reply:
        with lock:
            speaking[0] += 1
            most[0] = max(most[0], speaking[0])
        threading.Event().wait(0.02)
        with lock:
            speaking[0] -= 1
        return Reply(WAV)

    routes = {"GET /tts_is_ready": Reply({"status": True}), "POST /tts/file": speak, "*": NOT_FOUND}
    with serving(routes) as server, ThreadPoolExecutor(6) as pool:
        port = server.url.rpartition(":")[2]
        made = [
            LollmsTTSBinding_Impl(f"http://{host}:{port}{end}")
            for host in ("127.0.0.1", "localhost", "LOCALHOST")
            for end in ("", "/v1/")
        ]
        assert set(pool.map(lambda tts: tts.generate_audio("hi"), made)) == {WAV}
        for tts in made:
            tts.close()
    assert most == [1]


def test_a_file_that_no_other_server_keeps() -> None:
    with (
        serving({"GET /v1/models": MODELS, "POST /v1/audio/speech": Reply(WAV)}) as server,
        LollmsTTSBinding_Impl(server.url) as tts,
    ):
        assert tts.generate_audio("hi", fn="x.wav") == WAV
        with pytest.raises(OptionError, match="does not take fn"):
            tts.generate_audio("hi", fn="x.wav", strict=True)


# --- images ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawing() -> Iterator[Server]:
    picture = Reply(PNG)
    with serving({"GET /v1/models": MODELS, "GET /i/x.png": picture, "*": NOT_FOUND}) as server:
        yield server


@pytest.mark.parametrize("service", ["lollms", "dalle"])
@pytest.mark.parametrize(
    "told",
    [{"b64_json": f"{PACKED[:40]}\n{PACKED[40:]}\n"}, {"b64_json": f"data:image/png;base64,{PACKED}"}, {"url": f"data:image/png;base64,{PACKED}"}, {"url": "/i/x.png"}, {"url": "http://127.0.0.1:PORT/i/x.png"},
     {"url": "http://localhost:PORT/i/x.png"}],
)  # fmt: skip
def test_images_in_the_shapes_that_servers_give_them(drawing: Server, service: str, told: dict[str, str]) -> None:
    row = {key: value.replace("PORT", drawing.url.rpartition(":")[2]) for key, value in told.items()}
    drawing.routes |= dict.fromkeys(("POST /v1/images/generations", "POST /images/generations"), Reply({"data": [row]}))
    made: Any = LollmsTTIBinding_Impl if service == "lollms" else DalleTTIBinding_Impl
    with made(host_address=drawing.url, model_name="artist") as tti:
        assert tti.generate_image("a cat") == PNG


def test_no_other_port_of_this_machine_is_asked(drawing: Server) -> None:
    with serving({"*": Reply(PNG)}) as other, LollmsTTIBinding_Impl(drawing.url) as tti:
        url = f"http://localhost:{other.url.rpartition(':')[2]}/x.png"
        drawing.routes["POST /v1/images/generations"] = Reply({"data": [{"url": url}]})
        with pytest.raises(ServiceResponseError, match="which is not asked"):
            tti.generate_image("a cat")
        assert other.asked == []


@pytest.mark.parametrize(
    ("model", "asked_for", "size"),
    [("chatgpt-image-latest", None, "512x512"), ("GPT-Image-2", None, "512x512"), ("azure.gpt-image-1", None, "512x512"),
     ("gpt-image-1.5", None, "512x512"), ("DALL-E-3", "b64_json", "1024x1024"), ("dall-e-3:eu", "b64_json", "1024x1024"),
     ("my-gpt-image-2", "b64_json", "512x512"), ("open-dall-e-3-xl", "b64_json", "512x512")],
)  # fmt: skip
def test_models_by_the_names_that_proxies_give_them(
    drawing: Server, model: str, asked_for: str | None, size: str
) -> None:
    drawing.routes["POST /v1/images/generations"] = Reply({"data": [{"b64_json": PACKED}]})
    with LollmsTTIBinding_Impl(drawing.url, model) as tti:
        tti.generate_image("a cat")
    asked = drawing.asked[-1].json
    assert (asked.get("response_format"), asked["size"]) == (asked_for, size)


def test_a_refusal_that_names_what_it_refuses_beside_its_words(drawing: Server) -> None:
    def draw(request: Request) -> Reply:
        if "response_format" in request.json:
            return Reply({"error": {"message": "Unknown parameter.", "param": "response_format"}}, 400)
        return Reply({"data": [{"b64_json": PACKED}]})

    drawing.routes["POST /v1/images/generations"] = draw
    with LollmsTTIBinding_Impl(drawing.url, "artist") as tti:
        assert tti.generate_image("a cat") == PNG


# --- settings of a classic server's images --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "given", "sent"),
    [
        ({"steps": {"value": 20, "type": "int"}, "key": KEY}, {"steps": 3}, {"steps": {"value": 3, "type": "int"}, "key": KEY}),
        ({"steps": 20, "key": KEY}, [{"name": "steps", "value": 3}], {"steps": 3, "key": KEY}),
        ([5, {"name": "steps"}], ({"name": "steps", "value": 3},), [5, {"name": "steps", "value": 3}]),
    ],
)  # fmt: skip
def test_settings_in_the_shapes_that_servers_have_them(kept: Any, given: Any, sent: Any) -> None:
    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /get_active_tti_settings": Reply(kept),
        "POST /set_active_tti_settings": Reply({"status": True}),
    }  # fmt: skip
    with serving(routes) as server, LollmsTTIBinding_Impl(server.url) as tti:
        assert tti.set_settings(given)
        assert server.asked[-1].json["settings"] == sent
        count = len(server.asked)
        for wrong in (None, 5, "steps"):
            with pytest.raises(SettingsError, match="without name or value"):
                tti.set_settings(wrong)  # type: ignore[arg-type]
        assert server.asked[count:] == [r for r in server.asked[count:] if r.path == "/get_active_tti_settings"]


def test_settings_by_several_at_once() -> None:
    names = "abcdefgh"
    rows = {"now": [{"name": name, "value": 0} for name in names]}

    def put(request: Request) -> Reply:
        rows["now"] = request.json["settings"]
        return Reply({"status": True})

    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /set_active_tti_settings": put,
        "POST /get_active_tti_settings": lambda request: Reply(rows["now"], wait=0.02),
    }  # fmt: skip
    with serving(routes) as server, LollmsTTIBinding_Impl(server.url) as tti, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: tti.set_settings({name: 1}), names))
    assert [row["value"] for row in rows["now"]] == [1] * 8


# --- what they tell of ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "names"),
    [(["a", "b"], ["a", "b"]), ([{"name": "a"}, {"voice_id": "b", "name": "B"}], ["a", "b"]), (None, []), ({}, []), ([None, 3, "a", "a"], ["a"])],
)  # fmt: skip
@pytest.mark.parametrize("alone", [True, False])
def test_voices_and_models_in_the_shapes_that_servers_tell_them(told: Any, names: list[str], alone: bool) -> None:
    def under(key: str) -> Reply:
        return Reply(told if alone else {key: told})

    classic = {
        "GET /tts_is_ready": Reply({"status": True}), "GET /tts/voices": under("voices"),
        "GET /list_stt_models": under("models"), "POST /list_tti_services": under("services"),
    }  # fmt: skip
    modern = {"GET /lollms/v1/capabilities": CAPABLE, "GET /lollms/v1/audio/voices": under("data")}
    for routes in (classic, modern):
        with serving(routes) as server:
            assert LollmsTTSBinding_Impl(server.url).list_voices() == names
            if routes is classic:
                assert LollmsSTTBinding_Impl(server.url).list_models() == names
                LollmsTTIBinding_Impl(server.url).list_services()


@pytest.mark.parametrize("answer", [None, [1], "x", {"url": 3}, {"url": None}])
def test_speech_without_an_address_is_asked_for_in_another_way(answer: Any) -> None:
    routes = {
        "GET /tts_is_ready": Reply({"status": True}), "POST /text2Wave": Reply(answer), "POST /tts/file": Reply(WAV),
    }  # fmt: skip
    with serving(routes) as server, LollmsTTSBinding_Impl(server.url) as tts:
        assert tts.generate_audio("hi") == WAV
