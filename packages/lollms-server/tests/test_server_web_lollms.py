"""The surfaces of LoLLMs' own servers, modern and classic, as raw requests over real sockets; and what is sent to harm."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_modalities import Audio, Image
from lollms_server.room.keys import Keys
from lollms_server.web.errors import Refused
from lollms_server.web.lollms.kept import Bounds, Kept
from serving import SERVE, Reply, Server, form, models, server_of, serving

WAV = bytes(Audio.from_pcm(bytes(16000), 8000))
CONFIGURATION = f"""
{SERVE}
surfaces = ["openai", "lollms", "lollms-modern", "lollms-classic"]
{models(counting="tts")}
voices = {{ amy = "one" }}
{models(ears="stt", eyes="tti")}
"""
JSON = {"text": "hello"}


server = server_of(CONFIGURATION)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("keyed")
    keys = Keys(folder / "keys.json")
    made = {
        "anna": keys.add("anna", models=("counting",)), "bob": keys.add("bob"), "boss": keys.add("boss", role="admin"),
    }  # fmt: skip
    with serving(folder, CONFIGURATION) as running:
        yield running, made


def seconds(reply: Reply) -> float:
    assert reply.status == 200, reply.body
    return Audio(reply.body).duration


# -- modern -------------------------------------------------------------------------------------------------------------


def test_capabilities_say_what_there_is_and_what_we_are(server: Server) -> None:
    told = server.ask("GET", "/lollms/v1/capabilities").json
    assert told["capabilities"] == ["text_to_speech", "speech_to_text", "image_generation", "image_editing"]
    assert told["active_bindings"] == {
        "llm": [], "rag": [], "tts": ["counting"], "stt": ["ears"], "tti": ["eyes"], "ttm": [], "ttv": []
    }  # fmt: skip
    assert told["server"] == "lollms-server"
    assert "lollms" in told["surfaces"]


def test_models_are_listed_by_kind(server: Server) -> None:
    rows = server.ask("GET", "/lollms/v1/tti/models").json["data"]
    assert (rows[0]["id"], rows[0]["owned_by"]) == ("eyes", "eyes")
    assert server.ask("GET", "/lollms/v1/tti/models?binding_alias=other").json["data"] == []
    assert server.ask("GET", "/lollms/v1/ttm/models").json["data"] == []
    for kind in ("llm", "..%2Ftts", "%00"):
        assert server.ask("GET", f"/lollms/v1/{kind}/models").status == 404


def test_modern_speech_passes_over_what_the_model_has_not(server: Server) -> None:
    body = {"input": "hello", "language": "en", "response_format": "wav", "nonsense": 1, "voice": "main_voice"}
    body |= {"": 1, "\r\nx: y": 1, **{f"n{n}": 1 for n in range(500)}}  # of a header only what fits it
    reply = server.ask("POST", "/lollms/v1/audio/speech", body)
    assert seconds(reply) == pytest.approx(0.05)
    assert reply.headers["x-lollms-ignored"].startswith("language, nonsense, ?, ??x:?y, n0, ")
    assert len(reply.headers["x-lollms-ignored"]) < 1000
    reply = server.ask("POST", "/lollms/v1/audio/speech", {"input": "hello", "voice": None})
    assert reply.headers["content-type"] == "audio/mpeg"
    assert Audio(reply.body).format == "mp3"
    reply = server.ask(
        "POST", "/lollms/v1/audio/speech", {"input": "hi", "audio_sample": base64.b64encode(WAV).decode()}
    )
    assert (reply.status, reply.error["param"]) == (400, "audio_sample")
    assert server.ask("GET", "/lollms/v1/audio/voices").json["data"][0]["voice_id"] == "one"


def test_a_users_token_is_a_key(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = server.ask("POST", "/api/auth/token", f"username=x&password={keys['bob']}".encode(), form_type)
    told = reply.json
    assert told == {"access_token": keys["bob"], "token_type": "bearer"}
    body, headers = form({"file": ("x.wav", WAV)})
    headers["Authorization"] = f"Bearer {told['access_token']}"
    assert server.ask("POST", "/api/discussions/stt", body, headers).json == {"text": "nothing"}
    for password in ("", "wrong", "%00", keys["bob"] + "x"):
        reply = server.ask("POST", "/api/auth/token", f"username=x&password={password}".encode(), form_type)
        assert reply.status == 401, password
    assert server.ask("POST", "/api/auth/token", {"password": keys["bob"]}).status == 200
    assert server.ask("POST", "/api/auth/token", b"&".join(b"a%d=1" % n for n in range(60)), form_type).status == 400
    assert server.ask("POST", "/api/auth/token", b"a" * 1_100_000, form_type).status == 413


# -- classic ------------------------------------------------------------------------------------------------------------


def test_what_was_spoken_is_fetched_by_either_name(server: Server) -> None:
    reply = server.ask(
        "POST", "/text2Audio", {"text": "hello", "voice": "main_voice", "fn": "mine.wav", "client_id": "x"}
    )
    told = reply.json
    assert told["status"] is True
    assert "error" not in told
    assert seconds(server.ask("GET", told["url"])) == pytest.approx(0.05)
    assert seconds(server.ask("GET", "/audio/mine.wav")) == pytest.approx(0.05)
    server.ask("POST", "/text2Wave", {"text": "work 1 0.2", "fn": "mine.wav"})
    assert seconds(server.ask("GET", "/audio/mine.wav")) == pytest.approx(0.2), "the newer one"
    assert server.ask("GET", told["url"]).status == 404, "and no more"
    assert server.ask("POST", "/text2Audio", JSON).status == 200
    assert seconds(server.ask("GET", "/audio/tts2audio.wav")) == pytest.approx(0.05)


def test_classic_speech_is_wav(server: Server) -> None:
    reply = server.ask("POST", "/tts/file", {"text": "hello", "speaker": "amy", "language": "en"})
    assert seconds(reply) == pytest.approx(0.05)
    assert reply.headers["content-type"] == "audio/wav"
    assert (reply.headers["x-lollms-ignored"], reply.headers["x-lollms-voice-alias"]) == ("language", "amy")
    assert server.ask("GET", "/tts_is_ready").json == {"status": True}
    for path in ("/tts/voices", "/list_voices"):
        assert server.ask("GET", path).json == {"voices": ["one", "two", "amy"]}
    assert (
        server.ask("POST", "/tts/file", {"text": "hello", "voice": "two", "output_format": "mp3"}).body[:4] == b"RIFF"
    )


def test_classic_hearing(server: Server) -> None:
    body, headers = form({"file": ("../../x.mp3", WAV), "language": "en", "nonsense": "1"})
    assert server.ask("POST", "/transcribe", body, headers).json == {"transcription": "nothing"}
    body64 = {"audio_data": base64.b64encode(WAV).decode(), "file_name": "/etc/passwd", "model": "ears"}
    assert server.ask("POST", "/audio2text", body64).json == {"text": "nothing"}
    told = server.ask("GET", "/list_stt_models").json
    assert told["models"][0] == "ears"
    assert told["voices"] == told["models"]


def test_classic_images_are_jpegs(server: Server) -> None:
    body = {"prompt": "a cat", "negative_prompt": "", "width": 40, "height": 24, "steps": 4, "client_id": "x"}
    reply = server.ask("POST", "/generate_image", body)
    image = Image(base64.b64decode(reply.json["image"]))
    assert (image.format, image.width, image.height) == ("jpeg", 40, 24)
    assert reply.headers["x-lollms-ignored"] == "steps"
    assert server.ask("POST", "/list_tti_services", {}).json == [
        {"name": "eyes", "caption": "eyes", "help": "counting"}
    ]


def test_settings_are_an_admins(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed

    def ask(path: str, who: str, **more: Any) -> Any:
        return server.ask("POST", path, {"client_id": keys[who], **more}).json

    rows = ask("/get_active_tti_settings", "bob")
    assert isinstance(rows, list)
    assert ask("/set_active_tti_settings", "bob", settings=rows)["status"] is False
    assert ask("/set_active_tti_settings", "boss", settings=rows) == {"status": True}
    told = ask("/set_active_tti_settings", "boss", settings={"nonsense": 1})
    assert told["status"] is False
    assert "nonsense" in told["error"]


# -- keys ---------------------------------------------------------------------------------------------------------------


def test_a_clients_id_is_a_key_where_there_are_keys(keyed: tuple[Server, dict[str, str]]) -> None:
    server, keys = keyed
    for held in (
        {},
        {"client_id": "wrong"},
        {"client_id": 7},
        {"client_id": ""},
        {"client_id": [keys["bob"]]},
        {"client_id": "é\0"},
    ):
        assert server.ask("POST", "/text2Audio", JSON | held).status == 401, held
    assert server.ask("POST", "/text2Audio", JSON | {"client_id": "\ud800"}).status == 400, "no JSON of characters"
    told = server.ask("POST", "/text2Audio", JSON | {"client_id": keys["bob"], "fn": "mine.wav"}).json
    assert seconds(server.ask("GET", told["url"])) == pytest.approx(0.05), "the address lets in, which nobody can guess"
    assert server.ask("GET", "/audio/mine.wav").status == 401
    bearer = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    assert server.ask("GET", "/audio/mine.wav", headers=bearer["bob"]).status == 200
    assert server.ask("GET", "/audio/mine.wav", headers=bearer["anna"]).status == 404, "another's"
    assert (
        server.ask("POST", "/text2Audio", JSON | {"client_id": keys["bob"]}, {"Authorization": "Bearer x"}).status
        == 401
    )
    assert server.ask("POST", "/text2Audio", JSON | {"client_id": "x"}, bearer["bob"]).status == 200
    assert server.ask("POST", "/generate_image", {"prompt": "x", "client_id": keys["anna"]}).status == 404, (
        "not for her"
    )
    for path in (
        "/tts_is_ready",
        "/list_voices",
        "/lollms/v1/capabilities",
        "/lollms/v1/tts/models",
        "/list_stt_models",
    ):
        assert server.ask("GET", path).status == 401, path
        assert server.ask("GET", path, headers=bearer["anna"]).status == 200
    active = server.ask("GET", "/lollms/v1/capabilities", headers=bearer["anna"]).json["active_bindings"]
    assert (active["tts"], active["stt"]) == (["counting"], [])


def test_a_stranger_sends_little(keyed: tuple[Server, dict[str, str]]) -> None:
    server, _ = keyed
    assert server.ask("POST", "/audio2text", {"audio_data": "A" * 1_100_000}).status == 413
    body, headers = form({"file": ("x.wav", WAV)})
    assert server.ask("POST", "/transcribe", body, headers).status == 401


# -- what is sent to harm -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\x", "//windows/win.ini", "a\0b", "..%2Fx", "/etc/hostname", "é"]
)
def test_no_name_becomes_a_path(server: Server, name: str) -> None:
    before = set(server.files())
    told = server.ask("POST", "/text2Audio", {"text": "hello", "fn": name}).json
    assert told["status"] is True
    new = [path for path in server.files() if path not in before]
    assert all(path.parent.parent == server.uploads and path.name.startswith("upload-") for path in new)
    for path in ("%2E%2E%2F%2E%2E%2Fetc%2Fpasswd2", "..", "upload-", "%2Fetc%2Fhostname2"):
        assert server.ask("GET", f"/audio/{path}").status == 404
    for path in ("/tts/file", "/text2Audio"):
        field = "speaker" if path == "/tts/file" else "voice"
        reply = server.ask("POST", path, {"text": "hello", field: name})
        assert (reply.status, reply.error["code"]) == (404, "voice_not_found")
    assert server.ask("POST", "/audio2text", {"audio_data": name}).error["code"] == "invalid_media"
    body64 = base64.b64encode(WAV).decode()
    assert server.ask("POST", "/audio2text", {"audio_data": body64, "model": name}).status == 404
    edit = {"prompt": "x", "image": name}
    assert server.ask("POST", "/lollms/v1/images/edit", edit).status == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate_image", {"prompt": "x", "width": 10**9}), ("/generate_image", {"prompt": "x", "width": "9"}),
        ("/generate_image", {"prompt": ""}), ("/generate_image", {"prompt": "x", "num_inference_steps": 10**6}),
        ("/generate_image", {"prompt": "x" * 200_001}), ("/generate_image", {}), ("/generate_image", []),
        ("/text2Audio", {"text": "x" * 200_001}), ("/text2Audio", {"text": "x", "fn": "x" * 201}), ("/text2Audio", {}),
        ("/tts/file", {"text": 7}), ("/set_active_tti_settings", {}), ("/set_active_tti_settings", {"settings": 7}),
        ("/audio2text", {"audio_data": "aGVsbG8="}), ("/lollms/v1/audio/speech", {"input": "x", "speed": 99}),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(server: Server, path: str, body: Any) -> None:
    reply = server.ask("POST", path, body)
    assert reply.status == 400, reply.body
    assert reply.error["code"]


def test_a_page_of_another_site_runs_nothing(server: Server) -> None:
    began = server.counted.count("began")
    for path in ("/text2Audio", "/tts/file", "/lollms/v1/audio/speech"):
        told = {"text": "hello", "input": "hello"}
        assert server.ask("POST", path, told, {"Origin": "http://evil.example"}).status == 403
        assert server.ask("POST", path, json.dumps(told).encode(), {"Content-Type": "text/plain"}).status == 415
        assert server.ask("POST", path, told, {"Host": "evil.example"}).status == 403
    assert server.counted.count("began") == began


# -- what is kept -------------------------------------------------------------------------------------------------------


def test_what_is_kept_has_bounds(tmp_path: Path) -> None:
    async def main() -> None:
        kept = Kept(tmp_path, Bounds(files=5, files_each=3, size=500, size_each=200, seconds=60))
        names = [await kept.keep("anna", f"{n}", b"a" * 10) for n in range(5)]
        assert [await kept.read(name) for name in names] == [None, None, *[b"a" * 10] * 3]
        assert await kept.read("4", "anna") == b"a" * 10
        assert await kept.read("4", "bob") is None
        assert await kept.read("4") is None, "a client's name lets nobody in"
        large = await kept.keep("anna", None, b"b" * 195)
        assert [await kept.read(name) for name in (*names, large)] == [*[None] * 5, b"b" * 195]
        with pytest.raises(Refused, match="more than are kept"):
            await kept.keep("anna", None, b"b" * 201)
        for owner in "cdefgh":
            await kept.keep(owner, "x", b"c" * 100)
        assert await kept.read(large) is None
        left = list(tmp_path.iterdir())
        assert len(left) == 5
        assert sum(path.stat().st_size for path in left) <= 500

    asyncio.run(main())


def test_what_is_kept_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        kept = Kept(tmp_path, Bounds(seconds=60))
        name = await kept.keep("anna", "x", b"a")
        now = time.monotonic()
        monkeypatch.setattr("lollms_server.web.lollms.kept.time.monotonic", lambda: now + 61)
        assert await kept.read(name) is None
        assert not list(tmp_path.iterdir())

    asyncio.run(main())
