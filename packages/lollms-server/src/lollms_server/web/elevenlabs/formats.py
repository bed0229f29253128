"""What ``output_format`` names: a codec, a rate, and a bit rate where the codec has one."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from lollms_modalities import AudioChunk, SoundFormat, Word

from lollms_server.web import sound, sse
from lollms_server.web.errors import Refused

DEFAULT = "mp3_44100_128"
_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
_KNOWN = {
    "mp3": (22050, 24000, 44100, 48000), "opus": (48000,), "pcm": _RATES, "wav": _RATES, "ulaw": (8000,),
    "alaw": (8000,),
}  # fmt: skip
_TYPES = {
    "mp3": "audio/mpeg", "opus": "audio/ogg; codecs=opus", "pcm": "audio/pcm", "wav": "audio/wav",
    "ulaw": "audio/basic", "alaw": "audio/x-alaw-basic",
}  # fmt: skip
_COMPANDED = ("ulaw", "alaw")
_NAME = re.compile(r"([a-z0-9]+)_([0-9]{4,5})(?:_([0-9]{2,3}))?")
_BIT_RATES = {"mp3": range(8, 321), "opus": range(6, 257)}  # kbit a second


class Output(NamedTuple):
    """What is wanted.

    Attributes:
        codec: "mp3", "opus" (in Ogg), "wav"; "pcm", "ulaw" or "alaw" without any header.
        rate: samples a second.
        bit_rate: bits a second; None where the encoder says that.
    """

    codec: str
    rate: int
    bit_rate: int | None = None

    @property
    def bare(self) -> bool:
        """Whether it is samples without any header, of one channel."""
        return self.codec in ("pcm", *_COMPANDED)

    @property
    def encoded(self) -> SoundFormat:
        """What ``stream_encoded`` is asked for."""
        return (
            SoundFormat("pcm", self.rate, 1) if self.bare else SoundFormat(self.codec, self.rate, None, self.bit_rate)
        )

    @property
    def media_type(self) -> str:
        """Of the answer."""
        return f"{_TYPES[self.codec]}; rate={self.rate}" if self.codec in ("pcm", "alaw") else _TYPES[self.codec]


def output_of(name: str | None) -> Output:
    """What a name means; "auto" and none are MP3.

    Raises:
        Refused: nothing.
    """
    name = DEFAULT if name in (None, "", "auto") else str(name)
    found = _NAME.fullmatch(name)
    known = found is not None and int(found[2]) in _KNOWN.get(found[1], ())
    kbits = None if found is None or found[3] is None else int(found[3])
    if found is None or not known or (kbits is not None and kbits not in _BIT_RATES.get(found[1], (kbits,))):
        names = [f"{codec}_{rate}" for codec, rates in _KNOWN.items() for rate in rates]
        raise Refused(
            f"There is no output_format {name!r:.60}.", code="invalid_value", param="output_format",
            hint=f"There are {', '.join(names)}; kbit a second may follow, such as mp3_44100_128.",
        )  # fmt: skip
    return Output(found[1], int(found[2]), kbits * 1000 if kbits is not None and found[1] in _BIT_RATES else None)


async def made(chunks: AsyncIterator[AudioChunk], output: Output) -> AsyncIterator[tuple[bytes, list[Word]]]:
    """Sound as it is wanted, in parts, with the words that have begun by then."""
    parts = sound.encoded(chunks, output.encoded)
    coder = coder_of(output)
    try:
        async for part, words in parts:
            yield coder(part), words
    finally:
        await sse.close(parts)


def coder_of(output: Output) -> Callable[[bytes], bytes]:
    """What makes of what ``stream_encoded`` gives what is wanted."""
    return _Companded(output).feed if output.codec in _COMPANDED else bytes


def coded(parts: AsyncIterator[bytes], output: Output) -> AsyncIterator[bytes]:
    """The same for parts that the engine's thread has encoded."""
    return _coded(parts, coder_of(output)) if output.codec in _COMPANDED else parts


async def _coded(parts: AsyncIterator[bytes], coder: Callable[[bytes], bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in parts:
            yield coder(part)
    finally:
        await sse.close(parts)


class _Companded:
    """Eight bits a sample, as telephones have them (G.711)."""

    def __init__(self, output: Output) -> None:
        import av

        self._codec: Any = av.CodecContext.create("pcm_mulaw" if output.codec == "ulaw" else "pcm_alaw", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = output.rate, "mono", "s16"
        self._rate = output.rate

    def feed(self, pcm: bytes) -> bytes:
        import av
        import numpy as np

        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._rate
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
