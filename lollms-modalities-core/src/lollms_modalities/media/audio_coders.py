"""How sound is written in each format, part by part.

WAV and raw PCM need nothing; FLAC, Ogg, Opus and MP3 are soundfile's (libsndfile), AAC is PyAV's (FFmpeg), and these
need the extra ``[audio]``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from lollms_modalities.errors import GenerationError
from lollms_modalities.media.libraries import import_av, import_soundfile, missing
from lollms_modalities.media.wav import wav_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


_OGG_RATE = 192000  # libsndfile's Vorbis encoder crashes beyond 200 kHz


# Frames at a time: libsndfile's Vorbis and Opus encoders put a whole write on the stack.
BLOCK = 65536
_HELD = 1 << 20  # bytes of a WAV file of unknown length that are held back, for a plain header if that was all


class Sink:
    """Where the bytes go: the interface that soundfile wants, on whatever can be written to.

    Positions count from where the file object stood. On one that cannot seek, what would go back is dropped: encoders
    do that for lengths in a header, which say "unknown" till then.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.at = self.end = 0
        self.error: BaseException | None = None
        self._start = 0
        appends = "a" in str(getattr(file, "mode", ""))  # its writes go to the end, wherever one seeks
        self.seekable = bool(not appends and hasattr(file, "seekable") and file.seekable())
        if self.seekable:
            self._start = file.tell()

    def write(self, data: Any) -> int:
        """All of ``data``, at the current position. What the file raises is kept: libsndfile would swallow it."""
        view = memoryview(data).cast("B")
        try:
            if self.error is not None:
                return 0
            if self.at == self.end or self.seekable:
                rest = view
                while len(rest):
                    # A raw file or a socket may take less; None is that of one that counts nothing.
                    taken = self._file.write(rest)
                    rest = rest[len(rest) if taken is None else taken :]
        except BaseException as exc:
            self.error = exc
            return 0
        self.at += len(view)
        self.end = max(self.end, self.at)
        return len(view)

    def put(self, data: Any) -> None:
        """As ``write``, and raise what the file raises."""
        self.write(data)
        self.check()

    def check(self) -> None:
        """Raise what the file has raised."""
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """To a position counted from where the file stood."""
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.end}[whence]
        if self.seekable and at != self.at:
            try:
                self._file.seek(self._start + at)
            except BaseException as exc:
                self.error = self.error or exc
        self.at = at
        return at

    def tell(self) -> int:
        """Where the next write goes."""
        return self.at

    def read(self, size: int = -1) -> bytes:
        """Nothing: what is written is not read."""
        return b""

    def flush(self) -> None:
        """Of the file, standing at its end."""
        if self.seekable:
            self.seek(self.end)
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()
        self.check()


class Coder(Protocol):
    rate: int

    def write(self, pcm: memoryview) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class PcmCoder:
    """The samples as they are."""

    def __init__(self, sink: Sink, rate: int) -> None:
        self._sink = sink
        self.rate = rate

    def write(self, pcm: memoryview) -> None:
        self._sink.put(pcm)

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


class WavCoder:
    """RIFF WAVE with a header of 44 bytes; beyond 4 GB the RF64 of EBU Tech 3306.

    Where the length is not known, and there is more than a little, the header keeps room for that of RF64.
    """

    def __init__(self, sink: Sink, rate: int, channels: int, size: int | None) -> None:
        self._sink = sink
        self.rate = rate
        self._channels = channels
        self._size = 0
        self._held: bytearray | None = None
        self._wide = False
        if size is not None:
            sink.put(wav_header(rate, channels, size))
        elif sink.seekable:
            self._held = bytearray()
        else:
            sink.put(wav_header(rate, channels, None))

    def write(self, pcm: memoryview) -> None:
        self._size += len(pcm)
        if self._held is None:
            self._sink.put(pcm)
            return
        self._held += pcm
        if len(self._held) > _HELD:
            self._sink.put(wav_header(self.rate, self._channels, self._size, wide=True))
            self._release()
            self._wide = True

    def _release(self) -> None:
        held, self._held = self._held, None
        self._sink.put(held)

    def finish(self) -> None:
        if self._held is not None:
            self._sink.put(wav_header(self.rate, self._channels, self._size))
            self._release()
        elif self._wide:
            self._sink.seek(0)
            self._sink.put(wav_header(self.rate, self._channels, self._size, wide=True))

    def abort(self) -> None:
        self._held = None


class CompressedCoder:
    """What libsndfile encodes."""

    def __init__(self, sink: Sink, name: str, rate: int, channels: int, bit_rate: int | None = None) -> None:
        self._sink = sink
        self._name = name
        self._channels = channels
        self.rate = _rate_for(name, rate)
        self._resampler = resampler(rate, self.rate, channels) if self.rate != rate else None
        container, subtype = {
            "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
            "mp3": ("MP3", "MPEG_LAYER_III"),
        }[name]  # fmt: skip
        library = import_soundfile()
        # soundfile asserts that libsndfile took all of a write.
        self._refused = (library.LibsndfileError, AssertionError)
        try:
            how = {} if bit_rate is None else _at_bit_rate(name, self.rate, channels, bit_rate)
            self._file = library.SoundFile(sink, "w", self.rate, channels, subtype, format=container, **how)
        except self._refused as exc:
            sink.check()
            raise self._refusal(exc) from exc

    def write(self, pcm: memoryview) -> None:
        import numpy as np

        samples = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        self._encode(samples)

    def _encode(self, samples: npt.NDArray[np.int16]) -> None:
        import numpy as np

        try:
            for start in range(0, len(samples), BLOCK):  # resampled they may be more
                block = samples[start : start + BLOCK]
                # libsndfile's MP3 encoder garbles int16 of two channels.
                self._file.write(block if self._name == "flac" else block / np.float32(32768))
                self._sink.check()
        except self._refused as exc:
            self._sink.check()
            raise self._refusal(exc) from exc

    def finish(self) -> None:
        import numpy as np

        if self._resampler is not None:
            self._encode(self._resampler.resample_chunk(np.zeros((0, self._channels), np.int16), last=True))
        try:
            self._file.close()
        except self._refused as exc:
            self._sink.check()
            raise self._refusal(exc) from exc
        self._sink.check()

    def abort(self) -> None:
        # What closing would write is of no use.
        self._sink.error = self._sink.error or GenerationError("The encoder was aborted.")
        with suppress(Exception):
            self._file.close()

    def _refusal(self, exc: Exception) -> GenerationError:
        return GenerationError(
            f"{self._channels} channels at {self.rate} Hz cannot be written as {self._name}: {words_of(exc)}.",
            hint="Ask for wav or flac.",
        )


def import_encoder(name: str) -> None:
    """Import what encodes that format.

    Raises:
        BindingDependencyError: it is not installed.
    """
    if name == "aac":
        import_av()
    elif name not in ("wav", "pcm"):
        import_soundfile()


def words_of(exc: Exception) -> str:
    """What libsndfile said, without the object that it was said of."""
    return str(getattr(exc, "error_string", exc)).strip().rstrip(".") or type(exc).__name__


BIT_RATES = ("mp3", "opus")  # formats whose bit rate can be said


def _at_bit_rate(name: str, rate: int, channels: int, wanted: float) -> dict[str, Any]:
    """What libsndfile is told: a level from 0 to 1, which its encoders take for a place between two bit rates.

    For MP3 these are of the whole (mpeg_l3_encode.c), for Opus of one channel (ogg_opus.c).
    """
    wanted /= channels if name == "opus" else 1
    low, high = (6000, 256_000) if name == "opus" else (32_000, 320_000) if rate >= 32000 else (8000, 160_000)
    level = min(max((high - wanted) / (high - low), 0.0), 0.9999)  # at 1 it says that it cannot
    return {"compression_level": level} | ({"bitrate_mode": "CONSTANT"} if name == "mp3" else {})


def _rate_for(name: str, rate: int) -> int:
    if name == "ogg":
        return 48000 if rate > _OGG_RATE else rate
    rates = {"opus": _OPUS_RATES, "mp3": _MP3_RATES}.get(name)
    if rates is None or rate in rates:
        return rate
    return next_higher(rate, rates)


def next_higher(rate: int, rates: Sequence[int]) -> int:
    """The lowest of ``rates``, which ascend, that loses nothing; the highest where none is high enough."""
    return next((higher for higher in rates if higher >= rate), rates[-1])


def resampler(rate: int, to: int, channels: int) -> Any:
    try:
        import soxr
    except ImportError as exc:
        raise missing("soxr", exc) from exc
    return soxr.ResampleStream(rate, to, channels, dtype="int16")
