"""Speech as raw samples, as OpenAI's API has them. Files of sound are the core's to encode: ``stream_encoded``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk

from lollms_server.web import sse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PCM_RATE = 24000  # samples have no header to say it: clients take it for granted, and one channel
_RESAMPLING = ThreadPoolExecutor(max(2, os.cpu_count() or 1), "lollms-resampling")


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

    def _bytes(self, samples: npt.NDArray[np.float32], *, last: bool) -> bytes:
        import numpy as np

        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


async def raw(chunks: AsyncIterator[AudioChunk]) -> AsyncIterator[bytes]:
    """Chunks of speech as raw samples, off the event loop.

    Raises:
        Exception: what the chunks raise.
    """
    loop = asyncio.get_running_loop()
    samples: _Raw | None = None  # once the first chunk says of what kind the sound is
    try:
        async for chunk in chunks:
            if samples is None:
                samples = await loop.run_in_executor(_RESAMPLING, _Raw, chunk)
            if part := await loop.run_in_executor(_RESAMPLING, samples.feed, chunk):
                yield part
        if samples is not None and (part := await loop.run_in_executor(_RESAMPLING, samples.finish)):
            yield part
    finally:
        await sse.close(chunks)
