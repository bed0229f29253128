"""Sound into a file, or into any binary stream, while it is being made: memory does not grow with its length."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, SupportsIndex, cast

from lollms_modalities.calls.call import CURRENT
from lollms_modalities.errors import GenerationError, OptionError
from lollms_modalities.media.aac import AacCoder
from lollms_modalities.media.audio_coders import (
    BIT_RATES,
    BLOCK,
    CompressedCoder,
    PcmCoder,
    Sink,
    WavCoder,
    import_encoder,
)
from lollms_modalities.media.chunk import AudioChunk, other_kind
from lollms_modalities.media.files import WholeFile, explained
from lollms_modalities.media.formats import AUDIO_FORMATS, check_format, format_of
from lollms_modalities.media.samples import to_int16
from lollms_modalities.media.wav import check_rate

if TYPE_CHECKING:
    import numpy.typing as npt

    from lollms_modalities.media.audio_coders import Coder


def encode_audio(samples: npt.NDArray[Any], sample_rate: int, output_format: str) -> bytes:
    """A sound file of float samples in [-1, 1] (clipped) or int16 ones, of shape (n,) or (n, channels).

    ``output_format`` is "wav" (16-bit PCM), "flac" (16 bit), "ogg" (Vorbis), "opus" (in Ogg), "mp3" or "aac". Opus, MP3
    and AAC know certain rates only: sound of another one is resampled to the next higher of them.

    Raises:
        OptionError: an unknown format.
        GenerationError: samples of a wrong shape or type, or the encoder refuses them.
    """
    wanted = check_format(output_format, AUDIO_FORMATS)
    fixed = to_int16(samples)
    channels = 1 if fixed.ndim == 1 else fixed.shape[1]
    buffer = io.BytesIO()
    with AudioEncoder(buffer, sample_rate, channels, output_format=wanted, frames=len(fixed)) as encoder:
        encoder.feed(fixed)
    return buffer.getvalue()


def check_bit_rate(bit_rate: Any, output_format: str) -> int | None:
    """Bits a second, if that can be said of the format.

    Raises:
        OptionError: it cannot, or it is no number of them.
    """
    if bit_rate is None:
        return None
    if output_format not in BIT_RATES:
        raise OptionError(
            f"The bit rate of {output_format} cannot be said.", hint=f"Of {', '.join(BIT_RATES)} it can.",
            names=["bit_rate"],
        )  # fmt: skip
    whole = isinstance(bit_rate, int) and not isinstance(bit_rate, bool)
    if not whole or not 6000 <= bit_rate <= 512_000:
        raise OptionError(f"bit_rate={bit_rate!r:.40}.", hint="Bits a second, 6000 to 512000.", names=["bit_rate"])
    return int(bit_rate)


class EncodedBytes:
    """A target for an ``AudioEncoder`` that cannot go back in it, like a pipe; its bytes are taken out."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keep ``data``; gives its length."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        """What has been written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


class AudioEncoder:
    """Encodes sound as it comes, into a file that is whole or not there, or into a binary file object.

    ::

        with AudioEncoder("book.mp3", sample_rate=24000) as encoder:
            for chunk in tts.stream_audio(book):
                encoder.feed(chunk)

    At the end of the block the file is finished; where the block ends with an exception it is not there, and one that
    was there before still is. Without a ``with`` statement call ``finish()`` or ``abort()``.

    Not safe for threads that feed at the same time.

    Args:
        target: a path; or a binary file object, open for writing, which stays open. One that can seek gets a header
            with the length at the end; one that cannot (a pipe, a socket, an HTTP response: anything with ``write``)
            gets headers that leave it open, which players take.
        sample_rate: of what is fed, in Hz. Opus, MP3 and AAC know certain rates only: sound of another one is
            resampled to the next higher of them; ``output_rate`` tells.
        channels: of what is fed.
        output_format: "wav" (16-bit PCM), "flac" (16 bit), "ogg" (Vorbis), "opus" (in Ogg), "mp3", "aac" (in ADTS
            frames), or "pcm": int16 samples, little endian, without a header. Where it is left out the path's suffix
            decides, and a file object gets WAV.
        frames: how many will be fed, where that is known: with WAV the header is right from the beginning.
        bit_rate: bits a second of MP3 and Opus; the encoder's own choice where it is left out. The nearest that the
            format has is taken.

    Attributes:
        format: that is written.
        sample_rate, channels: of what is fed.
        output_rate: sample rate of what is written.
        frames: fed so far (samples of each channel).

    Raises:
        OptionError: an unknown format or suffix, a suffix that stands for another format than ``output_format``, a path
            that cannot be written to.
        GenerationError: a rate or a number of channels that the format cannot hold.
        BindingDependencyError: soundfile, PyAV, numpy or soxr is not installed.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        sample_rate: int,
        channels: int = 1,
        *,
        output_format: str | None = None,
        frames: int | None = None,
        bit_rate: int | None = None,
    ) -> None:
        self._whole: WholeFile | None = None
        path = Path(target) if isinstance(target, (str, os.PathLike)) else None
        if path is None and not callable(getattr(target, "write", None)):
            raise OptionError(f"The target is {type(target).__name__}.", hint="Give a path or a file open for writing.")
        self.format = _wanted(path, output_format)
        check_rate(sample_rate)
        whole = isinstance(channels, SupportsIndex) and not isinstance(channels, bool)
        if not whole or not 1 <= channels.__index__() <= 255:
            raise GenerationError(f"Sound has {channels!r} channels.", hint="There may be 1 to 255.")
        self.sample_rate = int(sample_rate)
        self.channels = int(channels)
        self.frames = 0
        self._done = False
        self._expected = frames
        self._bit_rate = check_bit_rate(bit_rate, self.format)
        import_encoder(self.format)  # before a file is made
        if path is not None:
            self._whole = WholeFile(path)
        try:
            self._sink = Sink(self._whole.file if self._whole is not None else cast(BinaryIO, target))
            self._coder = self._made(frames)
        except BaseException:
            self.abort()
            raise
        self.output_rate = self._coder.rate

    def _made(self, frames: int | None) -> Coder:
        if self.format == "pcm":
            return PcmCoder(self._sink, self.sample_rate)
        if self.format == "wav":
            size = None if frames is None else frames * 2 * self.channels
            return WavCoder(self._sink, self.sample_rate, self.channels, size)
        if self.format == "aac":
            return AacCoder(self._sink, self.sample_rate, self.channels)
        return CompressedCoder(self._sink, self.format, self.sample_rate, self.channels, self._bit_rate)

    def feed(self, samples: AudioChunk | bytes | bytearray | memoryview | npt.NDArray[Any]) -> None:
        """Encode what follows. Checks for the current call's end on the way, if there is one.

        Args:
            samples: float in [-1, 1] (clipped) or int16, of shape (n,) or (n, channels); or an ``AudioChunk``; or bytes
                of int16 samples, little endian, interleaved. Any length, also none.

        Raises:
            MediaError: a chunk of another rate or number of channels.
            GenerationError: samples of a wrong shape, type or value; sound that the format cannot hold; or the encoder
                was finished.
            SaveError: the file cannot be written. What a file object of yours raises is passed on.
            CallCancelled, CallTimeout: the current call was stopped.
        """
        if self._done:
            raise GenerationError("Sound was fed to an encoder that was finished.", hint="Make another one.")
        with self._explained():
            for block in self._blocks(samples):
                if (call := CURRENT.get()) is not None:
                    call.check()
                self._coder.write(block)
                self.frames += len(block) // (2 * self.channels)

    def _blocks(self, samples: Any) -> Iterator[memoryview]:
        """What was fed, as parts of bytes of int16 samples."""
        if isinstance(samples, AudioChunk):
            if (samples.sample_rate, samples.channels) != (self.sample_rate, self.channels):
                raise other_kind(samples, self.sample_rate, self.channels)
            samples = samples.pcm
        if isinstance(samples, (bytes, bytearray, memoryview)):
            pcm = memoryview(samples).cast("B")
            if len(pcm) % (2 * self.channels):
                raise GenerationError(f"{len(pcm)} bytes are no whole frames of {self.channels} int16 samples.")
            step = BLOCK * 2 * self.channels
            yield from (pcm[start : start + step] for start in range(0, len(pcm), step))
            return
        if not hasattr(samples, "dtype"):
            raise GenerationError(f"Sound is {type(samples).__name__}.", hint="Give an array, bytes or an AudioChunk.")
        from lollms_modalities.media.samples import to_int16

        if samples.ndim not in (1, 2) or (1 if samples.ndim == 1 else samples.shape[1]) != self.channels:
            raise GenerationError(f"Sound has the shape {samples.shape}, and {self.channels} channels were announced.")
        to_int16(samples[:0])  # its type, also where there are no samples
        for start in range(0, len(samples), BLOCK):
            yield to_int16(samples[start : start + BLOCK]).data.cast("B")

    def finish(self) -> None:
        """Write what is held back and the header's lengths; the file takes its name. Again does nothing.

        Raises:
            GenerationError: no sound was fed, and the format cannot be empty; fewer or more frames than announced.
            SaveError: as ``feed``.
        """
        self._finish()
        if self._whole is not None:
            self._whole.keep()

    def _finish(self) -> None:
        """All but the name."""
        if self._done:
            return
        self._done = True
        try:
            if self._expected not in (None, self.frames):
                raise GenerationError(f"{self._expected} frames of sound were announced, and {self.frames} were fed.")
            with self._explained():
                self._coder.finish()
                self._sink.flush()
            if not self._sink.end and self.format not in ("wav", "pcm"):
                raise GenerationError(
                    f"Sound without a sample cannot be written as {self.format}.", hint="Ask for wav."
                )
        except BaseException:
            self.abort()
            raise

    @contextmanager
    def kept_back(self) -> Iterator[WholeFile]:
        """As a ``with`` statement on the encoder, but the file keeps its temporary name. For the core."""
        assert self._whole is not None
        try:
            yield self._whole
            self._finish()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give up: the file is not there. What went to a file object stays there. After ``finish`` does nothing."""
        if self._done and self._whole is None:
            return
        self._done = True
        coder = getattr(self, "_coder", None)
        if coder is not None:
            coder.abort()
        if self._whole is not None:
            self._whole.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()

    def _explained(self) -> Any:
        return explained(self._whole.path) if self._whole is not None else nullcontext()


def _wanted(path: Path | None, output_format: str | None) -> str:
    given = (
        None
        if output_format is None
        else "pcm"
        if output_format == "pcm"
        else check_format(output_format, AUDIO_FORMATS)
    )
    if path is None:
        return given or "wav"
    if given == "pcm":  # whatever the file is called
        return given
    by_suffix = format_of(path, AUDIO_FORMATS)
    if given not in (None, by_suffix):
        raise OptionError(
            f"{path.name!r} stands for {by_suffix}, and output_format={output_format!r}.",
            hint="Leave output_format out, or change the suffix.",
        )
    return by_suffix
