"""Sound of a stream in another form: samples of another rate, or a file with the times of its words.

Files of sound without those are the core's to encode, in the engine's thread: ``stream_encoded``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk, EncodedStream, SoundFormat, Word

from lollms_server.web import sse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PCM_RATE = 24000  # samples have no header to say it: clients take it for granted, and one channel
# Each waits for its stream, as long as that is.
_ENCODING = ThreadPoolExecutor(256, "lollms-encoding")


class Resampled:
    """Samples of another rate: int16, little endian.

    Args:
        first: a chunk that says of what kind the sound is.
        rate: that is wanted; None for its own.
        mono: whether its channels become one.
    """

    def __init__(self, first: AudioChunk, rate: int | None, *, mono: bool) -> None:
        self.rate = rate or first.sample_rate
        self.channels = 1 if mono else first.channels
        self._resampler: Any = None
        if first.sample_rate != self.rate:
            import soxr

            self._resampler = soxr.ResampleStream(first.sample_rate, self.rate, self.channels, dtype="float32")

    def feed(self, chunk: AudioChunk) -> bytes:
        """What becomes of a chunk, as far as that can be told yet."""
        import numpy as np

        samples = np.frombuffer(chunk.pcm, "<i2").reshape(-1, chunk.channels)
        if chunk.channels != self.channels:
            samples = samples.mean(axis=1, dtype=np.float32)
        elif self._resampler is None:
            return bytes(chunk.pcm)
        return self._bytes(samples.astype(np.float32).reshape(-1, self.channels), last=False)

    def finish(self) -> bytes:
        """The rest."""
        import numpy as np

        return self._bytes(np.zeros((0, self.channels), np.float32), last=True)

    def _bytes(self, samples: npt.NDArray[np.float32], *, last: bool) -> bytes:
        import numpy as np

        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


async def encoded(chunks: AsyncIterator[AudioChunk], wanted: SoundFormat) -> AsyncIterator[tuple[bytes, list[Word]]]:
    """Chunks of sound as the bytes of a file, with the words that have begun by then.

    Raises:
        Exception: what the chunks raise.
    """
    loop = asyncio.get_running_loop()
    source = _Source(chunks, loop)
    stream = EncodedStream(source, wanted)
    try:
        while (part := await loop.run_in_executor(_ENCODING, next, stream, None)) is not None:
            yield part, source.words()
    finally:
        await source.stop()
        await sse.close(chunks)


class _Source(Iterator[AudioChunk]):
    """A stream of the event loop, as a thread takes it."""

    def __init__(self, chunks: AsyncIterator[AudioChunk], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False
        self._ended = False
        self._at = 0.0  # seconds
        self._words: list[Word] = []

    def words(self) -> list[Word]:
        """Those that came since they were asked for, with times from the first chunk on."""
        found, self._words = self._words, []
        return found

    def __next__(self) -> AudioChunk:
        while not self._ended:
            chunk = None if self._stopped else asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if chunk is None:
                self._ended = True
                break
            self._words += (replace(word, start=word.start + self._at, end=word.end + self._at) for word in chunk.words)
            self._at += len(chunk.pcm) / (2 * chunk.channels * chunk.sample_rate)
            if chunk.pcm:
                return chunk
        raise StopIteration

    async def _next(self) -> AudioChunk | None:
        if self._stopped:
            return None
        self._task = asyncio.current_task()
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return None
        finally:
            self._task = None

    async def stop(self) -> None:
        """No more is wanted: who waits for a chunk waits no longer."""
        self._stopped = True
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait((task,))
