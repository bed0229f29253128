"""Sound into a file, or into any binary stream, while it is being made: memory does not grow with its length.

WAV and raw PCM need nothing; FLAC, Ogg, Opus and MP3 are soundfile's (libsndfile) and need the extra ``[audio]``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self, SupportsIndex, cast

from lollms_modalities._files import WholeFile, explained
from lollms_modalities.call import _current
from lollms_modalities.errors import BindingDependencyError, GenerationError, OptionError
from lollms_modalities.media import Audio, AudioChunk, _other_kind, check_format, check_rate, format_of, wav_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OGG_RATE = 192000  # libsndfile's Vorbis encoder crashes beyond 200 kHz
# Frames at a time: libsndfile's Vorbis and Opus encoders put a whole write on the stack.
_BLOCK = 65536
_HELD = 1 << 20  # bytes of a WAV file of unknown length that are held back, for a plain header if that was all


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
        sample_rate: of what is fed, in Hz. Opus and MP3 know certain rates only: sound of another one is resampled to
            the next higher of them; ``output_rate`` tells.
        channels: of what is fed.
        output_format: "wav" (16-bit PCM), "flac" (16 bit), "ogg" (Vorbis), "opus" (in Ogg), "mp3", or "pcm": int16
            samples, little endian, without a header. Where it is left out the path's suffix decides, and a file object
            gets WAV.
        frames: how many will be fed, where that is known: with WAV the header is right from the beginning.

    Attributes:
        format: that is written.
        sample_rate, channels: of what is fed.
        output_rate: sample rate of what is written.
        frames: fed so far (samples of each channel).

    Raises:
        OptionError: an unknown format or suffix, a suffix that stands for another format than ``output_format``, a path
            that cannot be written to.
        GenerationError: a rate or a number of channels that the format cannot hold.
        BindingDependencyError: soundfile, numpy or soxr is not installed.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        sample_rate: int,
        channels: int = 1,
        *,
        output_format: str | None = None,
        frames: int | None = None,
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
        if self.format not in ("wav", "pcm"):
            _soundfile()  # before a file is made
        if path is not None:
            self._whole = WholeFile(path)
        try:
            self._sink = _Sink(self._whole.file if self._whole is not None else cast(BinaryIO, target))
            self._coder = self._made(frames)
        except BaseException:
            self.abort()
            raise
        self.output_rate = self._coder.rate

    def _made(self, frames: int | None) -> _Coder:
        if self.format == "pcm":
            return _Pcm(self._sink, self.sample_rate)
        if self.format == "wav":
            size = None if frames is None else frames * 2 * self.channels
            return _Wav(self._sink, self.sample_rate, self.channels, size)
        return _Compressed(self._sink, self.format, self.sample_rate, self.channels)

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
                if (call := _current.get()) is not None:
                    call.check()
                self._coder.write(block)
                self.frames += len(block) // (2 * self.channels)

    def _blocks(self, samples: Any) -> Iterator[memoryview]:
        """What was fed, as parts of bytes of int16 samples."""
        if isinstance(samples, AudioChunk):
            if (samples.sample_rate, samples.channels) != (self.sample_rate, self.channels):
                raise _other_kind(samples, self.sample_rate, self.channels)
            samples = samples.pcm
        if isinstance(samples, (bytes, bytearray, memoryview)):
            pcm = memoryview(samples).cast("B")
            if len(pcm) % (2 * self.channels):
                raise GenerationError(f"{len(pcm)} bytes are no whole frames of {self.channels} int16 samples.")
            step = _BLOCK * 2 * self.channels
            yield from (pcm[start : start + step] for start in range(0, len(pcm), step))
            return
        if not hasattr(samples, "dtype"):
            raise GenerationError(f"Sound is {type(samples).__name__}.", hint="Give an array, bytes or an AudioChunk.")
        from lollms_modalities.audio import to_int16

        if samples.ndim not in (1, 2) or (1 if samples.ndim == 1 else samples.shape[1]) != self.channels:
            raise GenerationError(f"Sound has the shape {samples.shape}, and {self.channels} channels were announced.")
        to_int16(samples[:0])  # its type, also where there are no samples
        for start in range(0, len(samples), _BLOCK):
            yield to_int16(samples[start : start + _BLOCK]).data.cast("B")

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
    given = None if output_format is None else "pcm" if output_format == "pcm" else check_format(output_format, Audio)
    if path is None:
        return given or "wav"
    if given == "pcm":  # whatever the file is called
        return given
    by_suffix = format_of(path, Audio)
    if given not in (None, by_suffix):
        raise OptionError(
            f"{path.name!r} stands for {by_suffix}, and output_format={output_format!r}.",
            hint="Leave output_format out, or change the suffix.",
        )
    return by_suffix


class _Sink:
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


class _Coder(Protocol):
    rate: int

    def write(self, pcm: memoryview) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class _Pcm:
    """The samples as they are."""

    def __init__(self, sink: _Sink, rate: int) -> None:
        self._sink = sink
        self.rate = rate

    def write(self, pcm: memoryview) -> None:
        self._sink.put(pcm)

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Wav:
    """RIFF WAVE with a header of 44 bytes; beyond 4 GB the RF64 of EBU Tech 3306.

    Where the length is not known, and there is more than a little, the header keeps room for that of RF64.
    """

    def __init__(self, sink: _Sink, rate: int, channels: int, size: int | None) -> None:
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


class _Compressed:
    """What libsndfile encodes."""

    def __init__(self, sink: _Sink, name: str, rate: int, channels: int) -> None:
        self._sink = sink
        self._name = name
        self._channels = channels
        self.rate = _rate_for(name, rate)
        self._resampler = _resampler(rate, self.rate, channels) if self.rate != rate else None
        container, subtype = {
            "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
            "mp3": ("MP3", "MPEG_LAYER_III"),
        }[name]  # fmt: skip
        library = _soundfile()
        # soundfile asserts that libsndfile took all of a write.
        self._refused = (library.LibsndfileError, AssertionError)
        try:
            self._file = library.SoundFile(sink, "w", self.rate, channels, subtype, format=container)
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
            for start in range(0, len(samples), _BLOCK):  # resampled they may be more
                block = samples[start : start + _BLOCK]
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
            f"{self._channels} channels at {self.rate} Hz cannot be written as {self._name}: {_words(exc)}.",
            hint="Ask for wav or flac.",
        )


def _words(exc: Exception) -> str:
    """What libsndfile said, without the object that it was said of."""
    return str(getattr(exc, "error_string", exc)).strip().rstrip(".") or type(exc).__name__


def _rate_for(name: str, rate: int) -> int:
    if name == "ogg":
        return 48000 if rate > _OGG_RATE else rate
    rates = {"opus": _OPUS_RATES, "mp3": _MP3_RATES}.get(name)
    if rates is None or rate in rates:
        return rate
    return next((higher for higher in rates if higher >= rate), rates[-1])


def _resampler(rate: int, to: int, channels: int) -> Any:
    try:
        import soxr
    except ImportError as exc:
        raise _missing("soxr", exc) from exc
    return soxr.ResampleStream(rate, to, channels, dtype="int16")


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as exc:
        raise _missing("soundfile", exc) from exc
    return soundfile


def _missing(package: str, cause: Exception) -> BindingDependencyError:
    return BindingDependencyError(
        f"Sound files are read and written with {package}, which cannot be imported ({cause}).",
        hint='Run pip install "lollms-modalities-core[audio]".',
    )
