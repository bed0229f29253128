"""Chunks of speech as the bytes of a sound file, while they come: encoded here, off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from lollms_modalities import AudioChunk, AudioEncoder, EncodedBytes

from lollms_server.web import sse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PCM_RATE = 24000  # of raw samples, which have no header to say it: clients take it for granted, and one channel
_PIECE = 0.5  # seconds encoded at a time: a binding that cannot stream gives all of it in one chunk
_ENCODING = ThreadPoolExecutor(max(2, os.cpu_count() or 1), "lollms-encoding")


class _File:
    """A sound file that is being written."""

    def __init__(self, first: AudioChunk, output_format: str) -> None:
        self._written = EncodedBytes()
        self._encoder = AudioEncoder(
            cast(BinaryIO, self._written), first.sample_rate, first.channels, output_format=output_format
        )

    def feed(self, chunk: AudioChunk) -> bytes:
        self._encoder.feed(chunk)
        return self._written.take()

    def finish(self) -> bytes:
        self._encoder.finish()
        return self._written.take()

    def abort(self) -> None:
        self._encoder.abort()


class _Raw:
    """Raw samples: 24 kHz, one channel, int16, little endian."""

    def __init__(self, first: AudioChunk) -> None:
        self._resampler: Any = None
        if first.sample_rate != PCM_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(first.sample_rate, PCM_RATE, 1, dtype="float32")

    def feed(self, chunk: AudioChunk) -> bytes:
        import numpy as np

        samples = np.frombuffer(chunk.pcm, "<i2").reshape(-1, chunk.channels).mean(axis=1, dtype=np.float32)
        return self._bytes(samples, last=False)

    def finish(self) -> bytes:
        import numpy as np

        return self._bytes(np.zeros(0, np.float32), last=True)

    def abort(self) -> None:
        pass

    def _bytes(self, samples: npt.NDArray[np.float32], *, last: bool) -> bytes:
        import numpy as np

        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def _begun(first: AudioChunk, output_format: str) -> _File | _Raw:
    return _Raw(first) if output_format == "pcm" else _File(first, output_format)


async def encoded(chunks: AsyncIterator[AudioChunk], output_format: str) -> AsyncIterator[bytes]:
    """The bytes of a sound file of that format; "pcm" is raw samples as OpenAI's API has them.

    Raises:
        OptionError: an unknown format.
        Exception: what the chunks raise.
    """
    loop = asyncio.get_running_loop()
    writing: list[_File | _Raw] = []  # one, once the first chunk says of what kind the sound is
    try:
        async for chunk in chunks:
            if not writing:
                writing.append(await loop.run_in_executor(_ENCODING, _begun, chunk, output_format))
            for piece in _pieces(chunk):
                if part := await loop.run_in_executor(_ENCODING, writing[0].feed, piece):
                    yield part
        if writing and (part := await loop.run_in_executor(_ENCODING, writing[0].finish)):
            yield part
        writing.clear()
    finally:
        for file in writing:
            file.abort()
        await sse.close(chunks)


def _pieces(chunk: AudioChunk) -> Iterator[AudioChunk]:
    step = max(1, round(_PIECE * chunk.sample_rate)) * 2 * chunk.channels
    if len(chunk.pcm) <= step:
        yield chunk
        return
    for start in range(0, len(chunk.pcm), step):
        yield AudioChunk(chunk.pcm[start : start + step], chunk.sample_rate, chunk.channels)
