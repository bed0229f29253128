"""Wyoming, with the client of its own package against engines that count."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from counting import plant
from eventually import true
from lollms_modalities import ConfigurationError, LollmsTTSBindingManager
from lollms_server.commands.arguments import configured, parse
from lollms_server.room.configuration import Configuration, WyomingSettings
from lollms_server.wyoming.server import Wyoming
from looped import on_loop
from rooms import OpenRoom
from serving import SERVE, Server, models, serving
from wyoming_client import (
    AudioStart,
    AudioStop,
    Event,
    Ping,
    SelectProgram,
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeVoice,
    Transcribe,
    connected,
    info_of,
    kinds,
    pcm_of,
    say,
    sound,
    until,
)  # fmt: skip

CONFIGURATION = f"""
{SERVE}
[serve.wyoming]
stt_port = 0
tts_port = 0
max_seconds = 20
{models(counting="tts")}
max_queue = 0
voices = {{ house = "two" }}
{models(second="tts", ears="stt")}
settings = {{ default_said = "turn on|the light" }}
{models(others="stt")}
settings = {{ default_said = "others" }}
"""
LONG = "work 100000"
SILENCE = bytes(3200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    whole = CONFIGURATION.replace("max_seconds", "live = false\nmax_seconds")
    with serving(tmp_path_factory.mktemp("server"), whole) as running:
        yield running


@on_loop
async def test_info_names_every_model_and_voice(server: Server) -> None:
    heard, spoken = await info_of(server.hears), await info_of(server.speaks)
    assert [program.name for program in heard.asr] == ["ears", "others"]
    assert not heard.tts
    assert not spoken.asr
    for program in heard.asr:
        assert program.installed
        assert program.version
        assert program.attribution.name == "counting"
        assert not program.supports_transcript_streaming  # live = false
        assert [(model.name, model.installed) for model in program.models] == [(program.name, True)]
        assert program.models[0].languages
    (program,) = spoken.tts
    assert program.supports_synthesize_streaming
    names = [voice.name for voice in program.voices]
    assert names == ["one", "two", "house", "second/one", "second/two"]
    assert all(voice.installed and voice.languages for voice in program.voices)


@on_loop
async def test_a_text_is_spoken_by_the_voice_that_is_named(server: Server) -> None:
    voices = {None: "None", "two": "two", "house": "two", "second": "None", "second/one": "one", "alloy": "None"}
    for named, meant in voices.items():
        async with connected(server.speaks) as client:
            voice = None if named is None else SynthesizeVoice(name=named)
            await say(client, Synthesize(text=f"work 3 0.2 {named}", voice=voice))
            came = await until(client, "audio-stop", "error")
        assert kinds(came) == ["audio-start", "audio-chunk", "audio-stop"], came[-1].data
        assert came[0].data["rate"] == 8000
        assert len(pcm_of(came)) == 3 * 3200
        assert all(len(event.payload or b"") <= 2048 for event in came)
        assert f"began 'work 3 0.2 {named}' {meant}" in server.counted.lines()


@on_loop
async def test_a_language_picks_a_voice_of_it(server: Server) -> None:
    async with connected(server.speaks) as client:
        for language, meant in (("en", "one"), ("xx", "None")):
            await say(client, Synthesize(text=f"work 1 0.1 {language}", voice=SynthesizeVoice(language=language)))
            assert (await until(client, "audio-stop", "error"))[-1].type == "audio-stop"
            assert f"began 'work 1 0.1 {language}' {meant}" in server.counted.lines()


@on_loop
async def test_sentences_are_spoken_while_the_text_is_written(server: Server) -> None:
    async with connected(server.speaks) as client:
        await say(client, SynthesizeStart(voice=SynthesizeVoice(name="two")))
        for part in ("work 2 0.1 first", " of all.", " Work", " goes on. The", " rest"):
            await say(client, SynthesizeChunk(text=part))
        # The first is heard before the text has its end.
        assert kinds(await until(client, "audio-stop", "error")) == ["audio-start", "audio-chunk", "audio-stop"]
        assert "began 'work 2 0.1 first of all.' two" in server.counted.lines()
        await say(client, Synthesize(text="the whole, for other servers"), SynthesizeStop())
        came = await until(client, "synthesize-stopped", "error")
        assert kinds(came) == ["audio-start", "audio-chunk", "audio-stop"] * 2 + ["synthesize-stopped"]
        assert not any("the whole" in line for line in server.counted.lines())
        # The connection goes on.
        await say(client, Synthesize(text="work 1"))
        assert (await until(client, "audio-stop", "error"))[-1].type == "audio-stop"


@on_loop
async def test_a_text_with_nothing_to_say_is_no_failure(server: Server) -> None:
    async with connected(server.speaks) as client:
        await say(client, Synthesize(text=" \n "))
        assert kinds(await until(client, "audio-stop", "error")) == ["audio-stop"]
        await say(client, SynthesizeStart(), SynthesizeStop())
        assert kinds(await until(client, "synthesize-stopped", "error")) == ["synthesize-stopped"]


@on_loop
async def test_sound_is_written_down(server: Server) -> None:
    async with connected(server.hears) as client:
        await say(client, Transcribe(), AudioStart(rate=16000, width=2, channels=1), sound(), sound(), AudioStop())
        came = await until(client, "transcript", "error")
        assert came[-1].data["text"].split() == "turn on the light".split()
        heard = [line for line in server.counted.lines() if line.startswith("heard")]
        assert heard[-1] == f"heard {2 * len(SILENCE) + 44}"
        # Again on the same connection, by another model, without audio-start, of four bytes a sample and two channels.
        await say(client, Transcribe(name="others"), sound(bytes(1600 * 8), width=4, channels=2), AudioStop())
        assert (await until(client, "transcript", "error"))[-1].data["text"] == "others"
        heard = [line for line in server.counted.lines() if line.startswith("heard")]
        assert heard[-1] == f"heard {1600 * 4 + 44}"
        await say(client, SelectProgram(name="others"), sound(), AudioStop())
        assert (await until(client, "transcript", "error"))[-1].data["text"] == "others"
        await say(client, AudioStop())
        assert (await until(client, "transcript", "error"))[-1].data["text"] == ""


@on_loop
async def test_sound_comes_in_pieces_of_any_size(server: Server) -> None:
    whole = bytes(range(256)) * 25
    for width, channels in ((2, 1), (2, 2), (3, 1), (4, 2)):
        async with connected(server.hears) as client:
            # As Home Assistant passes on what it is sent over HTTP.
            cut = [0, 1, 2, 5, 5, 100, 3333, 6399, 6400]
            pieces = [whole[start:end] for start, end in itertools.pairwise(cut)]
            await say(client, *[sound(piece, width=width, channels=channels) for piece in pieces], AudioStop())
            assert (await until(client, "transcript", "error"))[-1].type == "transcript"
        heard = [line for line in server.counted.lines() if line.startswith("heard")]
        assert heard[-1] == f"heard {6400 // (width * channels) * channels * 2 + 44}"


@on_loop
async def test_what_is_not_known_is_left_alone(server: Server) -> None:
    for port in (server.hears, server.speaks):
        async with connected(port) as client:
            await say(
                client, Event("detect", {"names": ["x"]}), Event("\u2028 no such", payload=b"xx"), Ping(text="hi")
            )
            (pong,) = await until(client, "pong")
            assert pong.data["text"] == "hi"


BAD: list[tuple[str, list[Any], str]] = [
    ("speaks", [Synthesize(text="x", voice=SynthesizeVoice(name="../../etc/passwd"))], "voice_not_found"),
    ("speaks", [Synthesize(text="x", voice=SynthesizeVoice(name="second/../one"))], "voice_not_found"),
    ("speaks", [Event("synthesize", {"text": 7})], "invalid_value"),
    ("speaks", [Event("synthesize", {})], "missing_field"),
    ("speaks", [Event("synthesize", {"text": "x", "voice": "one"})], "invalid_value"),
    ("speaks", [Event("synthesize", {"text": "<speak/>", "text_format": "ssml"})], "unsupported"),
    ("speaks", [SelectProgram(name="nobody"), Synthesize(text="x")], "model_not_found"),
    ("speaks", [SynthesizeChunk(text="x")], "invalid_event"),
    ("speaks", [Synthesize(text="fail now")], "engine_failed"),
    ("speaks", [Synthesize(text="breaks")], "engine_failed"),
    ("hears", [Transcribe(name="../x"), sound()], "model_not_found"),
    ("hears", [Event("transcribe", {"name": ["x"]}), sound()], "invalid_value"),
    ("hears", [Event("transcribe", {"transcript_names": "x"}), sound()], "invalid_value"),
    ("hears", [sound(width=7)], "invalid_value"),
    ("hears", [sound(rate=0)], "invalid_value"),
    ("hears", [sound(channels=1000)], "invalid_value"),
    ("hears", [Event("audio-chunk", {"rate": True, "width": 2, "channels": 1}, b"xx")], "invalid_value"),
    ("hears", [sound(bytes(16000), rate=4000)] * 11, "too_large"),
]


@pytest.mark.parametrize(("port", "events", "code"), BAD, ids=lambda value: value if isinstance(value, str) else "")
@on_loop
async def test_what_is_wrong_is_told_and_ends_the_connection(
    server: Server, port: str, events: list[Any], code: str
) -> None:
    async with connected(getattr(server, port)) as client:
        await say(client, *events)
        came = await until(client)  # to its end: Home Assistant waits for that
    assert (came[-1].type, came[-1].data["code"]) == ("error", code), came[-1].data
    assert "sk-" not in came[-1].data["text"]
    assert "/srv" not in came[-1].data["text"]


@on_loop
async def test_who_leaves_stops_the_engine_and_the_queue_is_the_rooms(server: Server) -> None:
    count = server.counted.count
    began, cancelled = count("began"), count("cancelled")
    async with connected(server.speaks) as client:
        await say(client, Synthesize(text=LONG), Synthesize(text="never"))
        assert (await client.read_event()) is not None
        async with connected(server.speaks) as other:
            await say(other, Synthesize(text="no room"))
            assert (await until(other))[-1].data["code"] == "rate_limit_exceeded"  # max_queue = 0
    await true(lambda: count("cancelled") > cancelled)
    await true(lambda: not server.ask("GET", "/lollms/v2/calls").json["data"])
    async with connected(server.speaks) as client:
        await say(client, Synthesize(text="work 1"))
        assert (await until(client, "audio-stop", "error"))[-1].type == "audio-stop"
    assert count("began") == began + 2


@on_loop
async def test_who_waits_for_nothing_may_not_ask_without_end(server: Server) -> None:
    async with connected(server.speaks) as client:
        await say(client, *[Synthesize(text=f"{LONG} {n}") for n in range(300)])
        assert (await until(client))[-1].data["code"] == "too_long"
    async with connected(server.hears) as client:
        await say(client, SynthesizeStart())  # is not for this port
        await say(client, Ping(text=""))
        assert (await until(client, "pong"))[-1].type == "pong"


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A configuration for a room in this process, which finds the engines that count."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(plant(tmp_path / "planted"))
        patch.setenv("COUNTING_LOG", str(tmp_path / "log"))
        LollmsTTSBindingManager().refresh()
        yield CONFIGURATION.replace("keys_file = KEYS", "")
    for name in ("counting_engine", "counting_pictures"):
        sys.modules.pop(name, None)
    LollmsTTSBindingManager().refresh()


@on_loop
async def test_keys_are_not_passed_by(counting: str, opened: OpenRoom) -> None:
    async with opened(counting) as room:
        Wyoming(room, WyomingSettings())
        with pytest.raises(ConfigurationError, match="not this machine alone"):
            Wyoming(room, WyomingSettings(host="0.0.0.0"))
        room.keys.add("boss", role="admin")
        room.keys.add("home", models=("second", "ears"))
        for key, said in ((None, "has keys"), ("boss", "admin's"), ("nobody", "no such key")):
            with pytest.raises(ConfigurationError, match=said):
                Wyoming(room, WyomingSettings(key=key))
        Wyoming(room, WyomingSettings(key="home", host="0.0.0.0"))


@on_loop
async def test_a_key_gives_its_rights_to_whoever_connects(counting: str, opened: OpenRoom) -> None:
    async with opened(counting) as room:
        room.keys.add("home", models=("second", "ears"))
        wyoming = Wyoming(room, WyomingSettings(key="home", stt_port=0, tts_port=0))
        await wyoming.open(lambda host, port: socket.create_server((host, port)))
        try:
            heard, spoken = await info_of(wyoming.ports["stt"]), await info_of(wyoming.ports["tts"])
            assert [program.name for program in heard.asr] == ["ears"]
            assert [voice.name for voice in spoken.tts[0].voices] == ["one", "two"]
            async with connected(wyoming.ports["tts"]) as client:
                await say(client, Synthesize(text="work 1", voice=SynthesizeVoice(name="counting/one")))
                assert (await until(client))[-1].data["code"] == "voice_not_found"
            async with connected(wyoming.ports["tts"]) as client:
                await say(client, Synthesize(text="work 1"))
                assert (await until(client, "audio-stop", "error"))[-1].type == "audio-stop"
                room.keys.remove("home")
                room.keys.add("other")
                await say(client, Synthesize(text="work 1"))
                assert (await until(client))[-1].data["code"] == "invalid_api_key"
        finally:
            await wyoming.close()


@on_loop
async def test_one_port_may_serve_both(counting: str, opened: OpenRoom) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with opened(counting) as room:
        wyoming = Wyoming(room, WyomingSettings(stt_port=port, tts_port=port))
        await wyoming.open(lambda host, port: socket.create_server((host, port)))
        try:
            told = await info_of(port)
            assert (len(told.asr), len(told.tts)) == (2, 1)
        finally:
            await wyoming.close()


def test_it_is_switched_on_by_a_word_or_in_the_file(configure: Callable[..., Configuration], tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    assert configure("").serve.wyoming is None
    assert configured(parse(["--config", str(file), "--wyoming"])).serve.wyoming == WyomingSettings()
    configure("[serve.wyoming]\nkey = 'home'\nlive = false\n")
    made = configured(parse(["--config", str(file), "--wyoming-host", "::1"])).serve.wyoming
    assert made == WyomingSettings(key="home", live=False, host="::1")
    with pytest.raises(ConfigurationError, match=r"stt_port"):
        configure("[serve.wyoming]\nstt_port = 70000\n")
