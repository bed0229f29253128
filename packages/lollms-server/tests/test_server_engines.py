"""Piper and faster-whisper through the room, each in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from eventually import true
from lollms_modalities import (
    Audio,
    LollmsSTTBindingManager,
    ModelNotFoundError,
    OptionError,
    VoiceNotFoundError,
    WorkerCrashedError,
)
from lollms_server.room.callers import TERMINAL, Caller
from lollms_server.room.room import Room
from rooms import OpenRoom

SENTENCE = "The boy was there when the sun rose."
SERVED = """
[models.narrator]
binding = "piper"
voices = { amy = "en_US-joe-medium" }
[models.ears]
binding = "faster_whisper"
[models.ears.settings]
n_threads = 1
"""


def words(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


async def spoken(room: Room, caller: Caller, text: str = SENTENCE) -> Audio:
    audio: Audio = await room.call(
        room.find("tts-1", "tts", caller), caller, "generate_audio", text, noise_scale=0.0, noise_w_scale=0.0,
        output_format="flac",
    )  # fmt: skip
    return audio


def test_what_is_spoken_is_written_down(opened: OpenRoom, me: Caller, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(SERVED) as room:
            audio = await spoken(room, me)
            ears = room.find("whisper-1", "stt", me)
            assert words(await room.call(ears, me, "transcribe_audio", audio)) == words(SENTENCE)
            upload = tmp_path / "upload"
            upload.write_bytes(audio)
            segments = [s async for s in room.stream(ears, me, "stream_transcript", upload, timestamps="word")]
            assert words("".join(segment.text for segment in segments)) == words(SENTENCE)
            assert all(segment.words for segment in segments)
            with pytest.raises(OptionError, match="opens no path"):
                await room.call(ears, me, "transcribe_audio", str(upload))
            text = room.metrics.registry
            heard = text.get_sample_value("lollms_real_time_factor_count", {"modality": "stt", "model": "ears"})
            assert heard == 2

    asyncio.run(main())


@pytest.mark.full
def test_a_model_of_the_binding_is_named_by_its_list_alone(opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(SERVED) as room:
            ears = room.find("ears", "stt", me)
            known = await room.binding_models(ears)
            with LollmsSTTBindingManager().require_binding("faster_whisper") as here:
                assert known == here.list_models()
            audio = await spoken(room, me)
            for wrong in ("/etc/passwd", "../x", "Systran/unheard-of", "tiny.en\0"):
                with pytest.raises(ModelNotFoundError):
                    await room.call(room.find(f"ears/{wrong}", "stt", me), me, "transcribe_audio", audio)
                with pytest.raises(ModelNotFoundError):
                    await room.call(ears, me, "transcribe_audio", audio, wrong)

    asyncio.run(main())


def test_names_of_voices(opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(SERVED) as room:
            narrator = room.find("narrator", "tts", me)
            assert await room.voice(narrator, "amy") == ("en_US-joe-medium", "amy")
            assert await room.voice(narrator, "alloy") == (None, "alloy")
            (listed,) = await room.voices(narrator)
            assert await room.voice(narrator, listed) == (listed, None)
            for voice in (listed, "en_US-joe-medium", None):
                assert await room.call(narrator, me, "generate_audio", "Yes.", voice)
            for wrong in ("joe", "../en_US-joe-medium", f"{listed}\0"):
                with pytest.raises(VoiceNotFoundError):
                    await room.voice(narrator, wrong)
                with pytest.raises(VoiceNotFoundError):
                    await room.call(narrator, me, "generate_audio", "Yes.", wrong)

    asyncio.run(main())


def test_a_process_that_is_killed_ends_one_call(opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(SERVED) as room:
            await spoken(room, me, "One.")
            (pid,) = children()
            long = asyncio.create_task(spoken(room, me, SENTENCE * 40))
            behind = asyncio.create_task(spoken(room, me))
            await true(lambda: [call.state for call in room.calls(TERMINAL)] == ["running", "queued"])
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(WorkerCrashedError):
                await long
            assert (await behind).duration > 1
            assert children() != [pid]

    asyncio.run(main())


def children() -> list[int]:
    """The workers of this process; the watcher is none."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            found += [int(word) for word in file.read().split()]
    return [pid for pid in found if b"workers.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.full
def test_memory_comes_back_when_a_model_is_unloaded(opened: OpenRoom, me: Caller) -> None:
    async def main() -> None:
        async with opened(SERVED) as room:
            await spoken(room, me)
            narrator = room.find("narrator", "tts", me)
            (pid,) = children()
            taken = next(row["memory"] for row in room.state(TERMINAL) if row["name"] == "narrator")
            assert taken > 100_000_000
            assert await room.unload(narrator, TERMINAL)
            assert pid not in children()
            assert all(row["memory"] == 0 for row in room.state(TERMINAL))

    asyncio.run(main())
