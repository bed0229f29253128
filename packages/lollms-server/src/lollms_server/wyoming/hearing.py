"""One transcription: sound as it comes, and text as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from lollms_modalities import Audio, AudioChunk

from lollms_server.room.callers import Caller
from lollms_server.room.feeding import Feed
from lollms_server.room.models import Chosen
from lollms_server.room.room import Room
from lollms_server.web.errors import Refused
from lollms_server.wyoming.events import Event
from lollms_server.wyoming.speaking import Send


class Held:
    """How much sound is kept by all connections together."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Keep so many bytes.

        Raises:
            Refused: there is no room.
        """
        if size > self._left:
            raise Refused("Too much is being said at once.", status=503, code="too_large", hint="Ask again later.")
        self._left -= size

    def give_back(self, size: int) -> None:
        """They are kept no longer."""
        self._left += size


class Wanted(NamedTuple):
    """What a transcription is to be.

    Attributes:
        live: whether the model is to listen while the sound comes.
    """

    chosen: Chosen
    caller: Caller
    options: dict[str, Any]
    live: bool


class Hearing:
    """One of them, from ``audio-start`` on. All of it is on the event loop.

    Args:
        seconds: of sound that are taken.
        failed: is told of what goes wrong.
    """

    def __init__(
        self, room: Room, wanted: Wanted, held: Held, seconds: float, send: Send,
        failed: Callable[[Exception], object],
    ) -> None:  # fmt: skip
        self._room = room
        self._wanted = wanted
        self._held = held
        self._most = seconds
        self._send = send
        self._failed = failed
        self.ended = False  # all of the sound is there
        self._seconds = 0.0
        self._chunks: list[AudioChunk] = []
        self._kept = 0
        self._feed = Feed() if wanted.live else None
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether the text is still to come."""
        return self._task is not None and not self._task.done()

    async def add(self, chunk: AudioChunk) -> None:
        """More sound.

        Raises:
            Refused: there is too much.
        """
        self._seconds += len(chunk.pcm) / (2 * chunk.channels * chunk.sample_rate)
        if self._seconds > self._most:
            raise Refused(
                f"The sound is longer than {self._most:g} s.", status=413, code="too_large",
                hint="Send audio-stop earlier; max_seconds in [serve.wyoming] says how much is taken.",
            )  # fmt: skip
        if self._feed is not None:
            self._begin(self._live(self._feed))
            await self._feed.put(chunk)
            return
        self._held.take(len(chunk.pcm))
        self._kept += len(chunk.pcm)
        self._chunks.append(chunk)

    def end(self) -> None:
        """All of the sound is there."""
        self.ended = True
        if self._feed is not None:
            self._feed.end()
        self._begin(self._nothing() if not self._seconds else self._whole())

    def _begin(self, work: Any) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._guarded(work))
        else:
            work.close()

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except Exception as exc:
            self._failed(exc)
        finally:
            self._forget()

    async def _nothing(self) -> None:
        await self._send(Event("transcript", {"text": ""}))

    async def _whole(self) -> None:
        chosen, caller, options, _ = self._wanted
        audio = await asyncio.to_thread(Audio.from_chunks, self._chunks)
        self._forget()
        text = await self._room.call(chosen, caller, "transcribe_audio", audio, **options)
        await self._send(Event("transcript", _told(str(text), text.language)))

    async def _live(self, feed: Feed) -> None:
        chosen, caller, options, _ = self._wanted
        said: list[str] = []
        language: str | None = None
        try:
            async with self._room.stream(chosen, caller, "transcribe_live", feed, **options) as segments:
                async for segment in segments:
                    text = segment.text.strip()
                    if not segment.final or not text:
                        continue  # what may still change cannot be taken back there
                    if not said:
                        language = segment.language
                        await self._send(Event("transcript-start", {} if language is None else {"language": language}))
                    text = f" {text}" if said else text
                    said.append(text)
                    await self._send(Event("transcript-chunk", {"text": text}))
        finally:
            feed.close()
        if not said:
            await self._send(Event("transcript-start"))
        await self._send(Event("transcript", _told("".join(said), language)))
        await self._send(Event("transcript-stop"))

    def _forget(self) -> None:
        self._held.give_back(self._kept)
        self._kept = 0
        self._chunks = []

    async def close(self) -> None:
        """Stop: the engine, too."""
        if self._feed is not None:
            self._feed.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._forget()


def _told(text: str, language: str | None) -> dict[str, Any]:
    return {"text": text.strip()} | ({"language": language} if language else {})
