"""Sound that a client sends while it is spoken: put on the event loop, taken in the thread of an engine."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator

from lollms_modalities import AudioChunk, CallCancelled

AHEAD = 30.0  # seconds of sound that are held; who sends more waits until the engine has taken some


class Feed(Iterator[AudioChunk]):
    """What ``transcribe_live`` is given. It is the event loop's; the engine calls ``__next__`` and ``close`` alone.

    Attributes:
        seconds: of sound that came, in all.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._held: deque[AudioChunk] = deque()
        self._ahead = 0.0
        self._ended = self._unwanted = False
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, chunk: AudioChunk) -> None:
        """Add to the sound, as soon as there is room. What comes after the end is dropped."""
        await self._room.wait()
        length = _seconds(chunk)
        self.seconds += length
        with self._changed:
            if self._ended or not chunk.pcm:
                return
            self._held.append(chunk)
            self._ahead += length
            if self._ahead > AHEAD:
                self._room.clear()
            self._changed.notify()

    def end(self) -> None:
        """Nothing more comes; what is there is still taken."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._room.set()

    def close(self) -> None:
        """Nothing more is wanted: an engine that still takes sound is stopped, and does not end as if it had all."""
        with self._changed:
            self._ended = self._unwanted = True
            self._held.clear()
            self._changed.notify()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)

    def __next__(self) -> AudioChunk:
        with self._changed:
            while not self._held:
                if self._unwanted:
                    raise CallCancelled("Whoever spoke has left.")
                if self._ended:
                    raise StopIteration
                self._changed.wait()
            chunk = self._held.popleft()
            self._ahead -= _seconds(chunk)
            roomy = self._ahead <= AHEAD / 2
        if roomy and not self._room.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)
        return chunk


def _seconds(chunk: AudioChunk) -> float:
    """Without numpy, which ``chunk.duration`` needs."""
    return len(chunk.pcm) / (2 * chunk.channels * chunk.sample_rate)
