"""ElevenLabs' own SDK against our server, with Piper, faster-whisper and the example of music behind it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.errors import UnprocessableEntityError
from lollms_modalities import decode_audio, has_provider, probe_audio
from lollms_modalities.testing.live import word_error
from looped import on_loop
from serving import SERVE, Server, models, server_of, serving
from waiting import wait_until

SENTENCES = ("The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.")
TEXT = " ".join(SENTENCES)
GEORGE = "JBFqnCBsd6RMkjVDRZzb"  # of its own quickstart
VOICE = "en_US-joe-medium.onnx"
CONFIGURATION = f"""
{SERVE}
surfaces = ["openai", "elevenlabs"]
[serve.defaults]
tts = "piper"
stt = "whisper"
[models.piper]
binding = "piper"
voices = {{ joe = "en_US-joe-medium.onnx" }}
settings = {{ default_noise_scale = 0, default_noise_w_scale = 0 }}
[models.whisper]
binding = "faster_whisper"
{models(counting="tts", ears="stt")}
[models.tune]
binding = "example"
modality = "ttm"
"""


server = server_of(CONFIGURATION)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[ElevenLabs]:
    with httpx.Client(timeout=120) as connections:  # which it leaves open itself
        yield ElevenLabs(base_url=f"{server.address}/elevenlabs", api_key="none", httpx_client=connections)


@pytest.fixture(scope="module")
def spoken(client: ElevenLabs) -> bytes:
    return b"".join(client.text_to_speech.convert(GEORGE, text=TEXT, output_format="wav_24000"))


def words(text: str) -> list[str]:
    return [word.strip(".,").lower() for word in text.split()]


LENGTH = 4.5  # seconds that the voice speaks the text in
FORMATS = {
    "mp3_44100_128": (44100, "mp3"), "mp3_22050_32": (22050, "mp3"), "opus_48000_64": (48000, "opus"),
    "wav_16000": (16000, "wav"), "wav_44100": (44100, "wav"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_codec_and_rate(client: ElevenLabs, name: Any) -> None:
    made = b"".join(client.text_to_speech.convert(GEORGE, text=TEXT, output_format=name))
    rate, channels, seconds, kind = probe_audio(made)
    assert (rate, channels, kind) == (FORMATS[name][0], 1, FORMATS[name][1])
    assert seconds == pytest.approx(LENGTH, abs=1)
    assert float(np.abs(decode_audio(made, 16000)).max()) > 0.1


@pytest.mark.parametrize("name", ["mp3_44100_32", "mp3_44100_128", "mp3_22050_32", "opus_48000_32", "opus_48000_192"])
def test_every_bit_rate_is_what_its_name_says(client: ElevenLabs, name: Any) -> None:
    made = b"".join(client.text_to_speech.convert(GEORGE, text=TEXT, output_format=name))
    kbits = int(name.rpartition("_")[2])
    assert len(made) * 8 / 1000 / probe_audio(made)[2] == pytest.approx(kbits, rel=0.3 if "opus" in name else 0.1)


@pytest.mark.parametrize(("name", "rate", "width"), [("pcm_16000", 16000, 2), ("pcm_44100", 44100, 2),
                                                     ("ulaw_8000", 8000, 1), ("alaw_8000", 8000, 1)])  # fmt: skip
def test_bare_samples_have_their_rate(client: ElevenLabs, spoken: bytes, name: Any, rate: int, width: int) -> None:
    made = b"".join(client.text_to_speech.convert(GEORGE, text=TEXT, output_format=name))
    seconds = len(made) / rate / width
    assert seconds == pytest.approx(probe_audio(spoken)[2], abs=0.1)
    samples = np.frombuffer(made, "<i2").astype(float) if width == 2 else expanded(made, law=name[0])
    # It is the same sound, sample for sample.
    same = decode_audio(spoken, rate)[: len(samples)]
    assert float(np.corrcoef(samples[: len(same)], same)[0, 1]) > 0.95


def expanded(data: bytes, law: str) -> np.ndarray:
    """G.711 as the standard has it."""
    byte = np.frombuffer(data, np.uint8)
    if law == "u":
        byte = ~byte
        value = ((((byte & 15).astype(int) << 3) + 132) << ((byte & 112) >> 4)) - 132
        return np.where(byte & 128, -value, value).astype(float)
    byte = byte ^ 0x55
    exponent = ((byte & 112) >> 4).astype(int)
    mantissa = ((byte & 15).astype(int) << 4) + 8
    value = np.where(exponent > 0, (mantissa + 256) << np.maximum(exponent - 1, 0), mantissa)
    return np.where(byte & 128, value, -value).astype(float)


def test_it_streams(client: ElevenLabs) -> None:
    parts = list(client.text_to_speech.stream(VOICE, text=TEXT, model_id="eleven_flash_v2_5"))
    assert len(parts) > 1
    assert probe_audio(b"".join(parts))[2] == pytest.approx(LENGTH, abs=1)


@on_loop
async def test_the_asynchronous_client_does_the_same(server: Server) -> None:
    async with httpx.AsyncClient(timeout=120) as connections:
        client = AsyncElevenLabs(
            base_url=f"{server.address}/elevenlabs", api_key="none", httpx_client=connections
        )  # fmt: skip

        async def made(text: str) -> bytes:
            return b"".join([part async for part in client.text_to_speech.convert(VOICE, text=text)])

        found = await asyncio.gather(*(made(sentence) for sentence in SENTENCES))
        assert all(probe_audio(each)[2] > 1 for each in found)
        assert [voice.voice_id for voice in (await client.voices.search(search="joe")).voices]


def test_times_of_characters_are_those_of_the_text(client: ElevenLabs, spoken: bytes) -> None:
    whole = client.text_to_speech.convert_with_timestamps(VOICE, text=TEXT, output_format="pcm_16000")
    assert whole.alignment is not None
    assert "".join(whole.alignment.characters) == TEXT
    starts, ends = whole.alignment.character_start_times_seconds, whole.alignment.character_end_times_seconds
    assert starts == sorted(starts)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert ends[-1] <= probe_audio(spoken)[2] + 0.1
    second = starts[TEXT.index("Glue")]
    assert 1.5 < second < 3.5
    sound, said, times = b"", "", []

    for part in client.text_to_speech.stream_with_timestamps(VOICE, text=TEXT, output_format="pcm_16000"):
        sound += base64.b64decode(part.audio_base_64)
        if part.alignment is not None:
            said += "".join(part.alignment.characters)
            times += part.alignment.character_start_times_seconds
    assert (said, sound) == (TEXT, base64.b64decode(whole.audio_base_64))
    assert times == pytest.approx(starts, abs=0.002)


def test_settings_that_there_are_here_are_taken(client: ElevenLabs, server: Server) -> None:
    from elevenlabs import VoiceSettings

    def seconds(speed: float) -> float:
        settings = VoiceSettings(stability=0.4, similarity_boost=0.75, speed=speed)
        return probe_audio(b"".join(client.text_to_speech.convert(VOICE, text=TEXT, voice_settings=settings)))[2]

    assert seconds(0.7) > 1.4 * seconds(1.2)
    raw = server.ask("POST", f"/elevenlabs/v1/text-to-speech/{GEORGE}",
                     {"text": "Hi.", "model_id": "eleven_v3", "volume": 0.5, "nobody_knows": 1, "seed": 3,
                      "voice_settings": {"stability": 1}})  # fmt: skip
    assert raw.status == 200
    assert raw.headers["content-type"] == "audio/mpeg"
    assert raw.headers["x-lollms-alias"] == "eleven_v3"
    assert raw.headers["x-lollms-voice-alias"] == GEORGE
    assert set(raw.headers["x-lollms-ignored"].split(", ")) == {"seed", "nobody_knows", "stability"}


def test_voices_and_models_are_those_that_are_served(client: ElevenLabs) -> None:
    voices = {voice.voice_id: voice for voice in client.voices.get_all().voices}
    assert set(voices) == {VOICE, "joe", "counting:one", "counting:two"}
    assert voices[VOICE].labels["language"] == "en-US"  # type: ignore[index]
    assert client.voices.get("counting:two").category == "premade"
    pages = [client.voices.search(page_size=3)]
    while pages[-1].has_more:
        pages.append(client.voices.search(page_size=3, next_page_token=pages[-1].next_page_token))
    assert [len(page.voices) for page in pages] == [3, 1]
    assert {voice.voice_id for page in pages for voice in page.voices} == set(voices)
    assert pages[0].total_count == 4
    assert {model.model_id for model in client.models.list()} == {"piper", "counting"}
    assert all(model.can_do_text_to_speech for model in client.models.list())


def test_a_voice_of_another_model_is_named_with_it(client: ElevenLabs, server: Server) -> None:
    for voice, model, meant in (("counting:two", None, "two"), ("two", "counting", "two"), ("counting", None, None)):
        text = f"work 1 0.1 {voice} {model}"
        more = {} if model is None else {"model_id": model}
        assert b"".join(client.text_to_speech.convert(voice, text=text, output_format="pcm_8000", **more))
        assert f"began {text!r} {meant}" in server.counted.lines()


def test_a_recording_is_written_down(client: ElevenLabs, spoken: bytes) -> None:
    heard: Any = client.speech_to_text.convert(model_id="scribe_v1", file=io.BytesIO(spoken))
    assert word_error(words(TEXT), words(heard.text)) <= 0.3
    assert heard.language_code == "eng"
    assert heard.audio_duration_secs == pytest.approx(probe_audio(spoken)[2], abs=0.01)
    assert "".join(word.text for word in heard.words) == heard.text
    assert {word.type for word in heard.words} == {"word", "spacing"}
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts)
    assert all(word.logprob <= 0 for word in heard.words)
    again: Any = client.speech_to_text.convert(
        model_id="whisper", file=io.BytesIO(spoken), language_code="eng", timestamps_granularity="character",
        additional_formats=[{"format": "srt"}, {"format": "txt"}], temperature=0, tag_audio_events=False,  # type: ignore[list-item]
    )  # fmt: skip
    assert again.additional_formats[0].content.startswith("1\n00:00:00,")
    assert again.additional_formats[1].content.strip() == again.text
    first = again.words[0]
    assert "".join(character.text for character in first.characters) == first.text
    assert first.characters[-1].end == pytest.approx(first.end, abs=0.002)


def test_bare_samples_are_taken_where_they_are_said_to_be_such(client: ElevenLabs) -> None:
    pcm = b"".join(client.text_to_speech.convert(VOICE, text=TEXT, output_format="pcm_16000"))
    heard: Any = client.speech_to_text.convert(model_id="whisper", file=pcm, file_format="pcm_s16le_16")
    assert word_error(words(TEXT), words(heard.text)) <= 0.3


def test_a_model_without_times_of_words_says_so_only_where_they_are_asked_for(
    client: ElevenLabs, spoken: bytes
) -> None:
    heard: Any = client.speech_to_text.convert(model_id="ears", file=spoken)
    assert [(word.text, word.start) for word in heard.words] == [("nothing", None)]
    with pytest.raises(ApiError) as refused:
        client.speech_to_text.convert(model_id="ears", file=spoken, timestamps_granularity="word")
    assert refused.value.body["detail"]["code"] == "unsupported"


def test_speakers_are_told_where_somebody_can(client: ElevenLabs, spoken: bytes) -> None:
    def heard() -> Any:
        return client.speech_to_text.convert(model_id="whisper", file=spoken, diarize=True, num_speakers=1)

    if not has_provider("diarizer"):
        with pytest.raises(ApiError) as refused:
            heard()
        assert refused.value.body["detail"]["code"] == "unsupported"
        return
    assert {word.speaker_id for word in heard().words} == {"speaker_0"}


def test_music_and_sounds_are_made(client: ElevenLabs) -> None:
    for made, rate in (
        (b"".join(client.music.compose(prompt="A calm chord", music_length_ms=3000)), 44100),
        (b"".join(client.music.stream(prompt="A calm chord", music_length_ms=3000, output_format="mp3_22050_32")), 22050),
        (b"".join(client.text_to_sound_effects.convert(text="A bell", duration_seconds=3)), 44100),
    ):  # fmt: skip
        found = probe_audio(made)
        assert (found[0], found[3]) == (rate, "mp3")
        assert found[2] == pytest.approx(3, abs=0.3)


WRONG: list[tuple[str, Callable[[ElevenLabs], object], int, str]] = [
    ("voice", lambda c: list(c.text_to_speech.convert("nobody", text="x")), 404, "voice_not_found"),
    ("path", lambda c: list(c.text_to_speech.convert("..%2F..%2Fetc", text="x")), 404, "voice_not_found"),
    ("model", lambda c: list(c.text_to_speech.convert(VOICE, text="x", model_id="../x")), 404, "model_not_found"),
    ("empty", lambda c: list(c.text_to_speech.convert(VOICE, text="")), 422, "text"),
    ("nothing", lambda c: list(c.text_to_speech.convert(VOICE, text="...")), 422, "text"),
    ("long", lambda c: list(c.text_to_speech.convert(VOICE, text="x" * 200_001)), 422, "text"),
    ("format", lambda c: list(c.text_to_speech.convert(VOICE, text="x", output_format="mp3_1")), 422, "output_format"),  # type: ignore[arg-type]
    ("seed", lambda c: list(c.text_to_speech.convert(VOICE, text="x", seed=-1)), 422, "seed"),
    ("plan", lambda c: list(c.music.compose(composition_plan={})), 422, "prompt"),  # type: ignore[arg-type]
    ("no file", lambda c: c.speech_to_text.convert(model_id="scribe_v1"), 422, "file"),
    ("url", lambda c: c.speech_to_text.convert(model_id="x", source_url="http://127.0.0.1/"), 400, "unsupported"),
    ("hook", lambda c: c.speech_to_text.convert(model_id="x", file=b"x", webhook=True), 400, "unsupported"),
    ("noise", lambda c: c.speech_to_text.convert(model_id="whisper", file=b"no sound at all"), 400, "invalid_media"),
    ("engine", lambda c: list(c.text_to_speech.convert("counting:one", text="fail")), 424, "engine_failed"),
    ("page", lambda c: c.voices.search(page_size=10**9), 422, "page_size"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "status", "what"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_told_as_there(
    client: ElevenLabs, server: Server, ask: Callable[[ElevenLabs], object], status: int, what: str
) -> None:
    failed = sum(line == "began 'fail' one" for line in server.counted.lines())
    with pytest.raises(ApiError) as refused:
        ask(client)
    assert refused.value.status_code == status
    detail = refused.value.body["detail"]
    if status == 422:
        assert isinstance(refused.value, UnprocessableEntityError)
        assert detail[0]["loc"][-1] == what
        assert detail[0]["msg"]
    else:
        assert detail["status"] == detail["code"] == what
        assert "sk-" not in detail["message"]
        assert "/srv" not in detail["message"]
    if what == "engine_failed":  # once: the SDK would ask again after a status from 500 on
        assert sum(line == "began 'fail' one" for line in server.counted.lines()) == failed + 1


def test_its_key_is_one_of_the_servers(tmp_path_factory: pytest.TempPathFactory) -> None:
    from lollms_server.room.keys import Keys

    folder = tmp_path_factory.mktemp("keyed")
    key = Keys(folder / "keys.json").add("anna", models=("counting",))
    with serving(folder, CONFIGURATION) as server, httpx.Client(timeout=120) as connections:
        address = f"{server.address}/elevenlabs"
        mine = ElevenLabs(base_url=address, api_key=key, httpx_client=connections)
        assert {voice.voice_id for voice in mine.voices.get_all().voices} == {"one", "two"}
        assert b"".join(mine.text_to_speech.convert(GEORGE, text="work 1", output_format="pcm_8000"))
        with pytest.raises(ApiError) as refused:
            list(mine.text_to_speech.convert("joe", text="x"))
        assert refused.value.status_code == 404
        with pytest.raises(ApiError) as refused:
            ElevenLabs(base_url=address, api_key="wrong", httpx_client=connections).voices.get_all()
        assert (refused.value.status_code, refused.value.body["detail"]["code"]) == (401, "invalid_api_key")
        bearer = {"Authorization": f"Bearer {key}"}
        assert server.ask("GET", "/elevenlabs/v1/models", headers=bearer).status == 200
        assert server.ask("GET", "/elevenlabs/v1/models", headers={**bearer, "Origin": "http://evil"}).status == 403


@pytest.mark.parametrize("path", ["", "/stream", "/stream/with-timestamps"])
def test_who_goes_away_stops_the_engine(server: Server, path: str) -> None:
    began, cancelled = server.counted.count("began"), server.counted.count("cancelled")
    body = json.dumps({"text": "work 100000"}).encode()
    head = (
        f"POST /elevenlabs/v1/text-to-speech/counting:one{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: server.counted.count("began") > began)
    wait_until(lambda: server.counted.count("cancelled") > cancelled)
