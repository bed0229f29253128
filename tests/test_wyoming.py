"""Wyoming with Piper and faster-whisper behind it, and beside the servers that Home Assistant has for these two."""

from __future__ import annotations

import contextlib
import math
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lollms_faster_whisper.models import packaged_model
from lollms_modalities.testing.live import word_error
from lollms_piper.voices import packaged_voice
from looped import on_loop
from serving import Server, server_of
from waiting import wait_until
from wyoming_client import (
    AudioStart,
    AudioStop,
    Event,
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
)

SENTENCES = ("The birch canoe slid on the smooth planks.", "Glue the sheet to the dark blue background.")
TEXT = " ".join(SENTENCES)
VOICE = "en_US-joe-medium"
CONFIGURATION = """
[serve]
keys_file = KEYS
[serve.wyoming]
stt_port = 0
tts_port = 0
[models.piper]
binding = "piper"
voices = { VOICE = "VOICE.onnx" }
settings = { default_noise_scale = 0, default_noise_w_scale = 0 }
[models.whisper]
binding = "faster_whisper"
settings = { default_beam_size = 1 }
""".replace("VOICE", VOICE)


server = server_of(CONFIGURATION)


async def spoken(port: int, text: str, voice: str | None = None) -> list[Event]:
    async with connected(port) as client:
        await say(client, Synthesize(text=text, voice=None if voice is None else SynthesizeVoice(name=voice)))
        return await until(client, "audio-stop", "error")


async def written(port: int, parts: list[bytes], rate: int, *, end: str) -> list[Event]:
    """What comes of that sound, as Home Assistant sends it."""
    async with connected(port) as client:
        await say(client, Transcribe(language="en"), AudioStart(rate=rate, width=2, channels=1))
        await say(client, *[sound(part, rate) for part in parts], AudioStop())
        return await until(client, end, "error")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def parts_of(pcm: bytes, rate: int) -> list[bytes]:
    """In chunks of 60 ms, with half a second of silence before and behind."""
    quiet = bytes(rate // 2 * 2)
    whole = quiet + pcm + quiet
    step = rate * 6 // 100 * 2
    return [whole[start : start + step] for start in range(0, len(whole), step)]


@on_loop
async def test_what_piper_says_whisper_writes_down_while_it_comes(server: Server) -> None:
    came = await spoken(server.speaks, TEXT)
    assert kinds(came) == ["audio-start", "audio-chunk", "audio-stop"], came[-1].data
    rate = came[0].data["rate"]
    pause = bytes(2 * rate)
    first = pcm_of(await spoken(server.speaks, SENTENCES[0]))
    second = pcm_of(await spoken(server.speaks, SENTENCES[1]))
    heard = await written(server.hears, parts_of(first + pause + second, rate), rate, end="transcript-stop")
    chunks = [event.data["text"] for event in heard if event.type == "transcript-chunk"]
    assert [event.type for event in heard] == [
        "transcript-start", *["transcript-chunk"] * len(chunks), "transcript", "transcript-stop",
    ]  # fmt: skip
    assert len(chunks) >= 2
    transcript = heard[-2].data
    assert "".join(chunks).strip() == transcript["text"]
    assert transcript["language"] == "en"
    assert word_error(words(TEXT), words(transcript["text"])) <= 0.3


@on_loop
async def test_silence_is_an_empty_transcript(server: Server) -> None:
    heard = await written(server.hears, [bytes(32000)], 16000, end="transcript-stop")
    assert [event.type for event in heard] == ["transcript-start", "transcript", "transcript-stop"]
    assert heard[1].data["text"] == ""


# -- beside the others -----------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


@contextlib.contextmanager
def running(folder: Path, distribution: str, *options: str) -> Iterator[int]:
    """One of them, in an environment of its own; gives its port."""
    uv = [sys.executable, "-m", "uv"]
    python = folder / distribution / "bin" / "python"
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder / distribution)], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), distribution], check=True)
    port = free_port()
    module = distribution.partition("=")[0].replace("-", "_")
    log = folder / f"{distribution}.log"
    with log.open("w") as out:
        command = [str(python), "-m", module, "--uri", f"tcp://127.0.0.1:{port}", *options]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        wait_until(lambda: process.poll() is not None or listens(port), 120)
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait(30)


async def streamed(port: int) -> list[Event]:
    async with connected(port) as client:
        await say(client, SynthesizeStart(voice=SynthesizeVoice(name=VOICE)))
        await say(client, *[SynthesizeChunk(text=f"{word} ") for word in TEXT.split()])
        await say(client, Synthesize(text=TEXT), SynthesizeStop())
        return await until(client, "synthesize-stopped", "error")


@pytest.mark.full
@on_loop
async def test_it_answers_as_wyoming_piper_does(server: Server, tmp_path: Path) -> None:
    model = packaged_voice()
    assert model is not None
    voices = tmp_path / "voices"
    voices.mkdir()
    for file in (model, Path(f"{model}.json")):
        shutil.copy(file, voices)
    options = ("--voice", VOICE, "--data-dir", str(voices), "--noise-scale", "0", "--noise-w-scale", "0")
    with running(tmp_path, "wyoming-piper==2.5.2", *options) as port:
        theirs, ours = await info_of(port), await info_of(server.speaks)
        (their_program,), (our_program,) = theirs.tts, ours.tts
        assert our_program.supports_synthesize_streaming == their_program.supports_synthesize_streaming
        their_voice = next(voice for voice in their_program.voices if voice.installed and voice.name == VOICE)
        our_voice = next(voice for voice in our_program.voices if voice.name == VOICE)
        assert [tag.replace("_", "-") for tag in their_voice.languages] == our_voice.languages
        for text in (TEXT, SENTENCES[0], "Yes."):
            their, our = await spoken(port, text, VOICE), await spoken(server.speaks, text, VOICE)
            alike(their, our)
        their, our = await streamed(port), await streamed(server.speaks)
        alike(their, our)


def alike(their: list[Event], our: list[Event]) -> None:
    """The same events of the same sound."""
    assert kinds(our) == kinds(their)
    keys = ("rate", "width", "channels")
    for one, other in zip((e for e in their if e.type == "audio-start"), (e for e in our if e.type == "audio-start"),
                          strict=True):  # fmt: skip
        assert [one.data[key] for key in keys] == [other.data[key] for key in keys]
    one, other = (np.frombuffer(pcm_of(events), "<i2").astype(float) for events in (their, our))
    assert len(one) == len(other)
    # The engine adds up in another order on several threads.
    assert float(np.corrcoef(one, other)[0, 1]) > 0.99
    assert math.isclose(float(np.abs(one).max()), float(np.abs(other).max()), rel_tol=0.05)


@pytest.mark.full
@on_loop
async def test_it_answers_as_wyoming_faster_whisper_does(server: Server, tmp_path: Path) -> None:
    model = packaged_model()
    assert model is not None
    came = await spoken(server.speaks, TEXT)
    pcm, rate = pcm_of(came), came[0].data["rate"]
    options = ("--model", str(model), "--language", "en", "--beam-size", "1", "--data-dir", str(tmp_path))
    with running(tmp_path, "wyoming-faster-whisper==3.8.1", *options) as port:
        theirs, ours = await info_of(port), await info_of(server.hears)
        their_program, our_program = theirs.asr[0], ours.asr[0]
        assert our_program.requires_external_vad == their_program.requires_external_vad
        assert set(our_program.models[0].languages) >= {"en", "de", "fr"}
        assert set(their_program.models[0].languages) >= {"en", "de", "fr"}
        their = await written(port, parts_of(pcm, rate), rate, end="transcript")
        our = await written(server.hears, parts_of(pcm, rate), rate, end="transcript-stop")
    their_text, our_text = (next(e.data["text"] for e in events if e.type == "transcript") for events in (their, our))
    assert word_error(words(TEXT), words(their_text)) <= 0.3
    assert word_error(words(TEXT), words(our_text)) <= 0.3
