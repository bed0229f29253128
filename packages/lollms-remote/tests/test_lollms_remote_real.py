"""What real servers were seen to do, classic and modern ones and those that speak as OpenAI does, played on loopback."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from lollms_client.stt_bindings.lollms import LollmsSTTBinding_Impl
from lollms_client.tti_bindings.dalle import DalleTTIBinding_Impl
from lollms_client.tti_bindings.lollms import LollmsTTIBinding_Impl
from lollms_client.tts_bindings.lollms import LollmsTTSBinding_Impl
from lollms_client.ttv_bindings.lollms import LollmsTTVBinding_Impl
from lollms_modalities import (
    Audio,
    Image,
    OptionError,
    ServiceAuthError,
    ServiceError,
    SettingsError,
    UnsupportedError,
)
from lollms_remote.protocols import forget_protocols
from lollms_remote.times import read_segments
from loopback import Reply, Request, Server, serving
from served import KEY, PNG, WAV

pytestmark = pytest.mark.usefixtures("forgetting")

MADE = Reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
# As Starlette on uvicorn does it: the connection is closed a moment later, without a word.
TEXT_500 = Reply(b"Internal Server Error", 500, {"Content-Type": "text/plain; charset=utf-8"}, hangs_up=True)
NOT_ALLOWED = Reply({"detail": "Method Not Allowed"}, 405)
NOT_FOUND = Reply({"detail": "Not Found"}, 404)


def unknown(request: Request) -> Reply:
    return TEXT_500 if request.method == "GET" else NOT_ALLOWED


@pytest.fixture
def classic() -> Iterator[Server]:
    with serving({"GET /tts_is_ready": Reply({"status": True}), "*": unknown}) as server:
        yield server


@pytest.fixture
def modern() -> Iterator[Server]:
    active = {"tti": ["draw"], "stt": [{"alias": "hear", "name": "whisper"}], "tts": {"say": {"name": "piper"}}}

    def capabilities(request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return Reply({"detail": "Not authenticated"}, 401)
        return Reply({"capabilities": {}, "active_bindings": active})

    with serving({"GET /lollms/v1/capabilities": capabilities, "*": NOT_ALLOWED}) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[Server]:
    with serving({"GET /v1/models": Reply({"data": [{"id": "whisper-1"}]}), "*": NOT_FOUND}) as server:
        yield server


# --- finding out what a server is -----------------------------------------------------------------------------------


def test_a_classic_server_is_found_however_often_it_is_asked(classic: Server) -> None:
    classic.routes |= {"POST /tts/file": Reply(WAV), "POST /transcribe": Reply({"transcription": "hello"})}
    for _ in range(12):
        forget_protocols()
        with LollmsTTSBinding_Impl(classic.url) as tts:
            assert tts.generate_audio("hi") == WAV
        with LollmsSTTBinding_Impl(classic.url, max_retries=0) as stt:
            assert stt.transcribe_audio(WAV) == "hello"


def _keyed(good: Reply, none: Reply, wrong: Reply) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        given = request.headers.get("Authorization")
        return none if given is None else good if given == f"Bearer {KEY}" else wrong

    return answer


_MODELS = Reply({"data": [{"id": "m"}]})
_FAILS = Reply({"error": {"message": "failed", "code": "500"}}, 500)
_NO_DB = Reply({"error": {"message": "No connected db.", "type": "no_db_connection"}}, 400)


@pytest.mark.parametrize(
    ("routes", "key"),
    [
        ({"GET /v1/models": _keyed(_MODELS, _FAILS, _NO_DB)}, KEY), ({"GET /v1/models": _keyed(_MODELS, _FAILS, _NO_DB)}, "wrong"),
        ({"GET /v1/models": _keyed(_MODELS, Reply({"error": "no key"}, 401), _NO_DB)}, None),
        ({"POST /v1/audio/transcriptions": Reply({"detail": [{"loc": ["body", "file"], "msg": "missing"}]}, 422)}, None),
        ({"POST /v1/audio/speech": Reply({"error": {"message": "no input"}}, 400)}, None),
        ({"GET /v1/models": TEXT_500, "POST /v1/images/generations": Reply({"error": {"message": "no key"}}, 401)}, None),
        ({"GET /v1/models": TEXT_500, "POST /v1/audio/speech": _keyed(Reply({"detail": "no input"}, 422), TEXT_500, TEXT_500)}, KEY),
    ],
    ids=["key", "wrong key", "no key", "transcriptions", "speech", "images", "speech with a key"],
)  # fmt: skip
def test_a_server_without_a_list_of_models_is_found(routes: dict[str, Any], key: str | None) -> None:
    with (
        serving({"*": NOT_FOUND, **routes}) as server,
        LollmsTTSBinding_Impl(server.url, service_key=key, max_retries=0) as tts,
    ):
        assert tts.model.protocol == "openai"


def test_a_wrong_protocol_says_what_was_found(classic: Server, modern: Server, openai: Server) -> None:
    servers = {"classic": classic, "modern": modern, "openai": openai}
    for found, server in servers.items():
        for given in servers.keys() - {found}:
            said = f"protocol='{given}' was given, and the server speaks '{found}'"
            about: dict[str, Any] = {"protocol": given, "max_retries": 0, "service_key": KEY}
            with LollmsTTSBinding_Impl(server.url, **about) as tts, pytest.raises(ServiceError, match=said):
                tts.generate_audio("hi")
            with LollmsTTIBinding_Impl(server.url, **about) as tti, pytest.raises(ServiceError, match=said):
                tti.generate_image("x")
    with LollmsTTSBinding_Impl(classic.url, protocol="classic", max_retries=0) as tts:
        with pytest.raises(ServiceError) as caught:
            tts.generate_audio("hi")
        assert "was given" not in str(caught.value)


# --- classic --------------------------------------------------------------------------------------------------------


class OneFile:
    """Speech of a classic server: ``/tts/file`` has one file for all, ``/text2Wave`` one for each name."""

    def __init__(self, server: Server, *ways: str) -> None:
        self.files: dict[str, bytes] = {}
        self.speaking, self.most = 0, 0
        self.lock = threading.Lock()
        ours = {"POST /tts/file": self.shared, "POST /text2Wave": self.own}
        server.routes |= {way: ours[way] for way in ways}
        server.routes["*"] = self.file

    def speak(self, request: Request, name: str) -> None:
        with self.lock:
            self.speaking += 1
            self.most = max(self.most, self.speaking)
            self.files[name] = bytes(Audio.from_pcm(request.json["text"].encode("utf-16-le"), 8000))
        threading.Event().wait(0.02)
        with self.lock:
            self.speaking -= 1

    def shared(self, request: Request) -> Reply:
        self.speak(request, "shared")
        return Reply(self.files["shared"])

    def own(self, request: Request) -> Reply:
        self.speak(request, request.json["fn"])
        return Reply({"url": f"/outputs/audio_out/{request.json['fn']}"})

    def file(self, request: Request) -> Reply:
        found = self.files.get(request.path.rpartition("/")[2])
        return Reply(found) if found is not None and request.path.startswith("/outputs/") else unknown(request)


@pytest.mark.parametrize("ways", [("POST /tts/file",), ("POST /tts/file", "POST /text2Wave")], ids=["shared", "own"])
@pytest.mark.parametrize("language", [None, "fr"])
def test_several_at_once_get_their_own_sound(classic: Server, ways: tuple[str, ...], language: str | None) -> None:
    played = OneFile(classic, *ways)
    texts = [f"This is number {n}." for n in range(6)]
    # Two instances: it is the server's address that counts.
    with (
        LollmsTTSBinding_Impl(classic.url) as one,
        LollmsTTSBinding_Impl(classic.url) as two,
        ThreadPoolExecutor(6) as pool,
    ):
        asked = [pool.submit((one, two)[n % 2].generate_audio, t, language=language) for n, t in enumerate(texts)]
        heard = [a.result().to_numpy() for a in asked]
    for text, samples in zip(texts, heard, strict=True):
        wanted = Audio.from_pcm(text.encode("utf-16-le"), 8000).to_numpy()
        assert np.array_equal(samples, wanted)
    if "POST /text2Wave" in ways and language is None:
        assert "shared" not in played.files
    else:
        assert played.most == 1
        assert {r.json["language"] for r in classic.asked if r.path == "/tts/file"} == {language or "en"}


@pytest.fixture
def drawing(classic: Server) -> Server:
    """An image service whose settings are replaced by what is sent."""
    rows = [{"name": "steps", "type": "int", "value": 20, "help": "h"}, {"name": "api_key", "type": "str", "value": KEY},
            {"name": "size", "type": "str", "value": "small"}]  # fmt: skip
    kept: dict[str, Any] = {"settings": rows}

    def put(request: Request) -> Reply:
        kept["settings"] = request.json["settings"]
        return Reply({"status": True})

    classic.routes |= {
        "POST /get_active_tti_settings": lambda request: Reply(kept["settings"]), "POST /set_active_tti_settings": put,
    }  # fmt: skip
    return classic


@pytest.mark.parametrize(
    "given",
    [{"steps": 30}, [{"name": "steps", "value": 30}], [{"name": "steps", "type": "int", "value": 30, "help": "h"}],
     iter([{"name": "steps", "value": 30}])],
    ids=["mapping", "rows", "whole rows", "iterator"],
)  # fmt: skip
def test_settings_of_a_classic_image_service_are_merged(drawing: Server, given: Any) -> None:
    tti = LollmsTTIBinding_Impl(drawing.url, client_id="me")
    before = tti.get_settings()
    assert tti.set_settings(given) is True
    assert tti.get_settings() == [{**before[0], "value": 30}, *before[1:]]
    assert tti.set_settings(tti.get_settings()) is True
    assert tti.get_settings()[0]["value"] == 30
    assert tti.get_settings()[1]["value"] == KEY


@pytest.mark.parametrize(
    ("given", "said"),
    [({"stps": 1}, "no setting 'stps'.*Did you mean 'steps'"), ({"steps": 3, "x": 1, "y": 2}, "'x', 'y'.*It has: steps, api_key"),
     ([{"name": "steps"}], "without name or value"), ([{"steps": 3}], "without name or value"), ([3], "without name or value")],
)  # fmt: skip
def test_unknown_settings_of_a_classic_image_service_are_refused(drawing: Server, given: Any, said: str) -> None:
    tti = LollmsTTIBinding_Impl(drawing.url, client_id="me")
    with pytest.raises(SettingsError, match=said):
        tti.set_settings(given)
    assert not any(r.path == "/set_active_tti_settings" for r in drawing.asked)
    drawing.routes["POST /get_active_tti_settings"] = Reply({})
    with pytest.raises(SettingsError, match="no image service is active"):
        tti.set_settings({"steps": 1})


# --- modern ---------------------------------------------------------------------------------------------------------


def test_a_modern_server_tells_of_its_models_by_modality(modern: Server) -> None:
    services = LollmsTTIBinding_Impl(modern.url, service_key=KEY).list_services()
    assert services == [{"name": "draw", "caption": "draw", "help": ""}]
    assert LollmsSTTBinding_Impl(modern.url, service_key=KEY).list_models() == ["hear"]
    for told in (
        {"stt": {"active": "hear", "available": ["listen", "hear"]}},
        {"stt": {"available": [{"alias": "hear"}, {"name": "listen"}], "active": {"alias": "hear"}}},
        {"active": {"stt": "hear", "tti": "draw"}, "available": {"stt": {"hear": {}, "listen": {}}, "tti": []}},
        {"stt": {"active": "hear", "available": None}},
    ):
        modern.routes["GET /lollms/v1/capabilities"] = Reply({"capabilities": {}, "active_bindings": told})
        names = LollmsSTTBinding_Impl(modern.url, service_key=KEY).list_models()
        assert names == (["hear"] if "None" in str(told) else ["hear", "listen"])
    modern.routes["GET /lollms/v1/capabilities"] = Reply({"capabilities": {}, "active_bindings": None})
    assert LollmsTTIBinding_Impl(modern.url, service_key=KEY).list_services() == []


class Users:
    """The users of a modern server; a token is good until ``end``."""

    def __init__(self, server: Server) -> None:
        self.number = 0
        self.good = True
        server.routes |= {"POST /api/auth/token": self.token, "POST /api/discussions/stt": self.stt}

    def token(self, request: Request) -> Reply:
        self.number += 1
        return Reply({"access_token": f"jwt-{self.number}"})

    def stt(self, request: Request) -> Reply:
        fits = self.good and request.headers.get("Authorization") == f"Bearer jwt-{self.number}"
        return Reply({"text": "hello"}) if fits else Reply({"detail": "Could not validate credentials"}, 401)

    def end(self) -> None:
        self.number += 1


def test_a_users_token_is_renewed_once(modern: Server) -> None:
    users = Users(modern)
    stt = LollmsSTTBinding_Impl(modern.url, user_name="me", user_password="pw")
    assert stt.transcribe_audio(WAV) == "hello"
    users.end()
    assert stt.transcribe_audio(WAV) == "hello"
    assert sum(r.path == "/api/auth/token" for r in modern.asked) == 2
    assert stt.transcribe_audio(WAV) == "hello"
    assert sum(r.path == "/api/auth/token" for r in modern.asked) == 2
    users.good = False
    with pytest.raises(ServiceAuthError, match="Could not validate"):
        stt.transcribe_audio(WAV)
    assert sum(r.path == "/api/auth/token" for r in modern.asked) == 3
    stt.close()


# --- images of models that are known --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "asked_for", "size", "told"),
    [("gpt-image-2", None, "512x512", False), ("openai/gpt-image-2", None, "512x512", False), ("gpt-image-1-mini", None, "512x512", False),
     ("gpt-image-2-2026-04-01", None, "512x512", False), ("dall-e-3", "b64_json", "1024x1024", True),
     ("dall-e-2", "b64_json", "512x512", False), ("sdxl", "b64_json", "512x512", False)],
)  # fmt: skip
def test_images_are_asked_for_as_the_model_takes_it(
    openai: Server, model: str, asked_for: str | None, size: str, told: bool, recwarn: pytest.WarningsRecorder
) -> None:
    openai.routes["POST /v1/images/generations"] = MADE
    with LollmsTTIBinding_Impl(openai.url, model) as tti:
        assert tti.generate_image("a cat").width == 24
        assert not recwarn, "nobody asked for 512x512"
        asked = openai.asked[-1].json
        assert (asked.get("response_format"), asked["size"], asked["model"]) == (asked_for, size, model)
        tti.generate_image("a cat", width=512, height=512)
        assert (openai.asked[-1].json["size"], bool(recwarn)) == (size, told)
        if told:
            count = len(openai.asked)
            with pytest.raises(OptionError, match="does not make images of 512x512; the nearest"):
                tti.generate_image("a cat", width=512, height=512, strict=True)
            assert len(openai.asked) == count


def test_a_model_of_another_name_may_refuse_to_be_asked_for_base64(openai: Server) -> None:
    def draw(request: Request) -> Reply:
        if "response_format" in request.json:
            return Reply(
                {"error": {"message": "Unknown parameter: 'response_format'.", "code": "unknown_parameter"}}, 400
            )
        return Reply({"data": [{"url": "/images/1.png"}]})

    openai.routes |= {"POST /v1/images/generations": draw, "GET /images/1.png": Reply(PNG)}
    with LollmsTTIBinding_Impl(openai.url, "artist") as tti:
        assert tti.generate_image("a cat") == PNG
    assert len([r for r in openai.asked if r.method == "POST"]) == 2


# --- what a server does not take ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "cls", "options"),
    [
        ("classic", LollmsTTSBinding_Impl, {"speed": 1.5}), ("classic", LollmsTTSBinding_Impl, {"model": "x"}),
        ("classic", LollmsTTSBinding_Impl, {"language": "fr"}), ("openai", LollmsTTSBinding_Impl, {"language": "fr"}),
        ("openai", LollmsTTSBinding_Impl, {"client_id": "me"}), ("modern", LollmsTTSBinding_Impl, {"client_id": "me"}),
        ("classic", LollmsSTTBinding_Impl, {"language": "fr"}), ("classic", LollmsSTTBinding_Impl, {"timestamps": "word"}),
        ("classic", LollmsSTTBinding_Impl, {"model": "x"}), ("classic", LollmsSTTBinding_Impl, {"prompt": "x"}),
        ("modern", LollmsSTTBinding_Impl, {"language": "fr", "timestamps": "segment"}), ("modern", LollmsSTTBinding_Impl, {"model": "x"}),
        ("classic", LollmsTTIBinding_Impl, {"quality": "high"}), ("classic", LollmsTTIBinding_Impl, {"style": "x"}),
        ("openai", LollmsTTIBinding_Impl, {"style": "vivid"}), ("openai", LollmsTTIBinding_Impl, {"quality": "hd"}),
    ],
)  # fmt: skip
def test_what_a_server_does_not_take_is_told_or_refused(
    which: str, cls: Any, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(which)
    server.routes |= {
        "POST /text2Wave": Reply({"url": "/outputs/x.wav"}), "GET /outputs/x.wav": Reply(WAV),
        "POST /lollms/v1/audio/speech": Reply(WAV), "POST /v1/audio/speech": Reply(WAV),
        "POST /transcribe": Reply({"transcription": "hello"}), "POST /api/auth/token": Reply({"access_token": "jwt"}),
        "POST /api/discussions/stt": Reply({"text": "hello"}),
        "POST /generate_image": Reply({"image": base64.b64encode(PNG).decode()}), "POST /v1/images/generations": MADE,
    }  # fmt: skip
    settings = {"model_name": "gpt-image-2"} if cls is LollmsTTIBinding_Impl else {}
    with cls(server.url, user_name="me", user_password="pw", **settings) as binding:
        verb, content = {
            "tts": (binding.generate_audio, "hi") if cls is LollmsTTSBinding_Impl else None,
            "stt": (binding.transcribe_audio, WAV) if cls is LollmsSTTBinding_Impl else None,
            "tti": (binding.generate_image, "hi") if cls is LollmsTTIBinding_Impl else None,
        }[binding.modality] or (None, None)
        assert verb is not None
        names = "|".join(options)
        with pytest.warns(UserWarning, match=names):
            assert verb(content, **options)
        made = {"/text2Wave", "/transcribe", "/api/discussions/stt", "/generate_image", "/v1/images/generations",
                "/v1/audio/speech", "/lollms/v1/audio/speech"}  # fmt: skip
        before = [r.path for r in server.asked if r.path in made]
        with pytest.raises(OptionError, match=names):
            verb(content, strict=True, **options)
        assert [r.path for r in server.asked if r.path in made] == before, "nothing was made"


def test_one_side_of_a_video_is_not_dropped(openai: Server) -> None:
    openai.routes["POST /v1/videos"] = NOT_FOUND
    with LollmsTTVBinding_Impl(openai.url) as ttv, pytest.raises(UnsupportedError):
        ttv.generate_video("x", width=64)
    assert openai.asked[-1].json["size"] == "64x64"


# --- times ----------------------------------------------------------------------------------------------------------


def test_words_outside_every_segment_are_kept() -> None:
    segments = [{"text": " one", "start": 1.0, "end": 2.0}, {"text": "two ", "start": 3.0, "end": 4.0}]
    words = [
        {"word": w, "start": s, "end": s + 0.2} for w, s in (("a", 0.1), ("b", 1.2), ("c", 2.1), ("d", 2.7), ("e", 4.5))
    ]
    found = read_segments("one two", segments, words, 5.0)
    assert [(s.text, [w.text for w in s.words]) for s in found] == [("one", ["a", "b", "c"]), ("two", ["d", "e"])]


@pytest.mark.parametrize("missing", [None, "x", float("nan"), True, [], "absent"])
def test_times_that_are_not_told(missing: Any) -> None:
    def row(key: str, text: str, start: Any, end: Any) -> dict[str, Any]:
        told = {key: text, "start": start, "end": end}
        return {k: v for k, v in told.items() if v != "absent"}

    segments = [
        row("text", "one", missing, missing),
        row("text", "two", 1.0, missing),
        row("text", "three", missing, 4.0),
    ]
    words = [row("word", "one", missing, missing), row("word", "two", 1.0, 1.5), row("word", "three", missing, missing)]
    found = read_segments("one two three", segments, words, 4.0)
    assert [(s.start, s.end) for s in found] == [(0.0, 1.0), (1.0, 4.0), (4.0, 4.0)]
    assert [w.text for s in found for w in s.words] == ["one", "two", "three"]
    assert [w.text for w in read_segments("x", None, words, 4.0)[0].words] == ["one", "two", "three"]
    assert read_segments("x", None, None, 4.0) == read_segments("x", [3, {}], "words", 4.0) == []


def test_a_server_with_null_times_and_without_granularities(openai: Server) -> None:
    """``transformers serve`` answers 422 to the field."""

    def hear(request: Request) -> Reply:
        if "timestamp_granularities[]" in request.parts:
            return Reply({"detail": "Unexpected fields in the request: {'timestamp_granularities[]'}"}, 422)
        segments = [{"text": "hello", "start": None, "end": None}]
        return Reply({"text": "hello there", "segments": segments, "language": None, "words": None, "usage": None})

    openai.routes["POST /v1/audio/transcriptions"] = hear
    with LollmsSTTBinding_Impl(openai.url) as stt:
        heard = stt.transcribe_audio(WAV, timestamps="segment")
        assert (heard, heard.segments[0].start, heard.segments[0].end) == ("hello there", 0.0, 0.5)
        assert heard.to_srt().startswith("1\n00:00:00,000 --> 00:00:00,500\nhello\n")
        with pytest.warns(UserWarning, match="does not take timestamps"):
            stt.transcribe_audio(WAV, timestamps="word")
        with pytest.raises(OptionError, match="timestamps"):
            stt.transcribe_audio(WAV, timestamps="word", strict=True)


def test_a_translation_tells_both_languages(openai: Server) -> None:
    asked: list[Request] = []

    def translate(request: Request) -> Reply:
        asked.append(request)
        segments = [{"text": "good day", "start": 0.0, "end": 0.4}]
        return Reply({"text": "good day", "language": "english", "segments": segments})

    openai.routes["POST /v1/audio/translations"] = translate
    with LollmsSTTBinding_Impl(openai.url) as stt:
        heard = stt.transcribe_audio(WAV, translate=True, language="fr-CA", timestamps="segment")
        assert (heard, heard.language, heard.text_language, len(heard.segments)) == ("good day", "fr", "en", 1)
        assert not {"language", "timestamp_granularities[]"} & asked[0].parts.keys()
        heard = stt.transcribe_audio(WAV, translate=True)
        assert (heard.language, heard.text_language) == (None, "en")


# --- uploads --------------------------------------------------------------------------------------------------------


def _encoded(container: str, codec: str, rate: int = 16000) -> bytes:
    import io

    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64_000
        samples = (np.sin(np.arange(rate) / 9) * 9000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return file.getvalue()


_ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)


@pytest.mark.parametrize(
    ("make", "name", "kind"),
    [
        (lambda: WAV, "audio.wav", "audio/wav"), (lambda: bytes(Audio(WAV).convert("mp3")), "audio.mp3", "audio/mpeg"),
        (lambda: _ID3 + bytes(Audio(WAV).convert("mp3")), "audio.mp3", "audio/mpeg"),
        (lambda: bytes(Audio(WAV).convert("flac")), "audio.flac", "audio/flac"),
        (lambda: bytes(Audio(WAV).convert("opus")), "audio.ogg", "audio/ogg"),
        (lambda: bytes(Audio(WAV).convert("ogg")), "audio.ogg", "audio/ogg"),
        (lambda: _encoded("mp4", "aac"), "audio.mp4", "audio/mp4"),
        (lambda: _encoded("webm", "libopus", 48000), "audio.webm", "audio/webm"),
        (lambda: _encoded("matroska", "libopus", 48000), "audio.flac", "audio/flac"),
        (lambda: _encoded("mov", "aac"), "audio.flac", "audio/flac"), (lambda: _encoded("aiff", "pcm_s16be"), "audio.flac", "audio/flac"),
        (lambda: _encoded("mp2", "mp2"), "audio.flac", "audio/flac"), (lambda: _ID3 + _encoded("mp2", "mp2"), "audio.flac", "audio/flac"),
        (lambda: _encoded("asf", "wmav2", 44100), "audio.flac", "audio/flac"), (lambda: _encoded("au", "pcm_s16be"), "audio.flac", "audio/flac"),
        (lambda: _encoded("adts", "aac"), "audio.flac", "audio/flac"),
    ],
    ids=["wav", "mp3", "mp3 with id3", "flac", "opus", "ogg", "mp4", "webm", "mkv", "mov", "aiff", "mp2", "mp2 with id3", "wma", "au", "aac"],
)  # fmt: skip
def test_uploads_have_a_true_name_and_type(openai: Server, make: Callable[[], bytes], name: str, kind: str) -> None:
    openai.routes["POST /v1/audio/transcriptions"] = Reply({"text": "hello"})
    data = make()
    with LollmsSTTBinding_Impl(openai.url) as stt:
        assert stt.transcribe_audio(data) == "hello"
    asked = openai.asked[-1]
    sent = asked.parts["file"]
    assert asked.parts["file.filename"] == name
    assert f"Content-Type: {kind}\r\n".encode() in asked.body
    assert (sent == data) is (name != "audio.flac" or data[:4] == b"fLaC")
    assert abs(Audio(sent).duration - Audio(data).duration) < 0.1


@pytest.mark.parametrize(
    ("form", "name", "kind"),
    [("png", "image.png", "image/png"), ("jpeg", "image.jpg", "image/jpeg"), ("webp", "image.webp", "image/webp"),
     ("gif", "image.png", "image/png"), ("bmp", "image.png", "image/png")],
)  # fmt: skip
@pytest.mark.parametrize("service", ["lollms", "dalle"])
def test_images_go_under_a_true_name_and_type(openai: Server, service: str, form: str, name: str, kind: str) -> None:
    import io

    file = io.BytesIO()
    Image(PNG).to_pil().save(file, form)
    openai.routes |= {"POST /v1/images/edits": MADE, "POST /images/edits": MADE}
    made = LollmsTTIBinding_Impl if service == "lollms" else DalleTTIBinding_Impl
    with made(host_address=openai.url) as tti:
        assert tti.edit_image(file.getvalue(), "x")
    asked = openai.asked[-1]
    assert asked.parts["image.filename"] == name
    assert f"Content-Type: {kind}\r\n".encode() in asked.body
    assert Image(asked.parts["image"]).mime_type == kind
