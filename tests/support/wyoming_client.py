"""The client of the package ``wyoming``, which Home Assistant has, and what tests ask with it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of audioop, which it has a substitute for
    from wyoming.audio import AudioChunk, AudioStart, AudioStop

from wyoming.asr import Transcribe
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info, SelectProgram
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

__all__ = [
    "AudioChunk", "AudioStart", "AudioStop", "Describe", "Event", "Info", "Ping", "SelectProgram", "Synthesize",
    "SynthesizeChunk", "SynthesizeStart", "SynthesizeStop", "SynthesizeVoice", "Transcribe", "connected", "info_of",
    "kinds", "pcm_of", "say", "sound", "until",
]  # fmt: skip


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[AsyncTcpClient]:
    """A client, connected for a minute at most."""
    async with asyncio.timeout(60), AsyncTcpClient("127.0.0.1", port) as client:
        yield client


async def say(client: AsyncTcpClient, *events: Any) -> None:
    """Send them."""
    for event in events:
        await client.write_event(event if isinstance(event, Event) else event.event())


async def until(client: AsyncTcpClient, *kinds: str) -> list[Event]:
    """What comes, up to one of these kinds or the end of the connection."""
    came: list[Event] = []
    while (event := await client.read_event()) is not None:
        came.append(event)
        if event.type in kinds:
            break
    return came


def kinds(events: list[Event]) -> list[str]:
    """Their types, one for each run of chunks."""
    return [e.type for n, e in enumerate(events) if not (n and e.type == events[n - 1].type == "audio-chunk")]


def pcm_of(events: list[Event]) -> bytes:
    """The sound that came."""
    return b"".join(event.payload or b"" for event in events if event.type == "audio-chunk")


async def info_of(port: int) -> Info:
    """What it is told of a server."""
    async with connected(port) as client:
        await say(client, Describe())
        return Info.from_event((await until(client, "info"))[-1])


def sound(pcm: bytes = bytes(3200), rate: int = 16000, width: int = 2, channels: int = 1) -> AudioChunk:
    """A chunk of sound."""
    return AudioChunk(rate=rate, width=width, channels=channels, audio=pcm)
