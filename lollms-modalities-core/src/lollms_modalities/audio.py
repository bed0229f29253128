"""Sound files in and out: decode anything, encode what players read.

Needs the extra ``[audio]``: numpy, av, soundfile, soxr.

Decoding is PyAV's (FFmpeg), restricted to formats that hold media themselves: a playlist in the clothes of a sound file
opens nothing else, no file and no address. Encoding is done by ``audio_encoder``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from lollms_modalities.errors import BindingDependencyError, GenerationError, MediaError
from lollms_modalities.media import Audio, check_format, check_media, open_media, read_wav_header, sniff
from lollms_modalities.media_input import MediaInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_DURATION = 4 * 3600.0
_LOWEST_RATE = 1000  # samples per second
# FFmpeg's names of the formats that hold media themselves, comma-separated.
CONTAINERS = (
    "wav,w64,flac,ogg,mp3,mov,mp4,m4a,3gp,matroska,webm,aac,aiff,au,caf,amr,asf,avi,flv,mpegts,mpeg,ac3,wv,ape,tta"
)
_OGG_PAGE = 65307  # the largest
_READ = 65536  # frames of a WAV file at a time


def decode_audio(
    source: MediaInput, sample_rate: int = 16000, *, max_duration: float | None = MAX_DURATION
) -> npt.NDArray[np.float32]:
    """The sound as float32 in [-1, 1], mono, shape (n,), at ``sample_rate``.

    Args:
        source: a path, bytes, one of our results or a binary file, of any format that FFmpeg reads.
        sample_rate: wanted samples per second.
        max_duration: seconds; longer sound is refused as soon as that much is decoded, so memory stays bounded.

    Raises:
        AudioFileNotFoundError: there is no such file.
        MediaError: empty, cut short, no sound in it, longer than ``max_duration``, or no media at all.
        BindingDependencyError: PyAV is not installed.
    """
    samples, _ = _decode(source, sample_rate, "mono", max_duration)
    return samples[:, 0]


def decode_frames(
    source: MediaInput, *, max_duration: float | None = MAX_DURATION
) -> tuple[npt.NDArray[np.float32], int]:
    """The sound as it is: float32 in [-1, 1], shape (n, channels), and its sample rate; else as ``decode_audio``."""
    return _decode(source, None, None, max_duration)


def _decode(
    source: MediaInput, rate: int | None, layout: str | None, max_duration: float | None
) -> tuple[npt.NDArray[np.float32], int]:
    import numpy as np

    checked = check_media(source, role="audio")
    _refuse_cut_wav(checked)
    _refuse_cut_ogg(checked)
    with _opened(checked) as (container, stream):
        declared = _declared_duration(container, stream)
        if max_duration is not None and declared is not None and declared > max_duration:
            raise _too_long(checked, declared, max_duration)
        blocks: list[npt.NDArray[np.float32]] = []
        count = 0
        rate = rate or stream.rate
        for block in _blocks(container, stream, rate, layout):
            blocks.append(block)
            count += len(block)
            if max_duration is not None and count > max_duration * rate:
                raise _too_long(checked, count / rate, max_duration)
    _check_whole(checked, count, rate, declared)
    return np.concatenate(blocks), rate


def _check_whole(checked: Path | bytes, count: int, rate: int, declared: float | None) -> None:
    if not count:
        raise MediaError(f"{_shown(checked)} has a sound track without sound.", hint="Give a whole recording.")
    if declared is not None and count / rate < declared - max(0.5, 0.05 * declared):
        raise MediaError(
            f"{_shown(checked)} is cut short: it says {declared:.1f} s and holds {count / rate:.1f} s.",
            hint="Fetch or record it again.",
        )


class Sound(NamedTuple):
    """Sound that is decoded while it is read.

    Attributes:
        sample_rate, channels: of the sound as it is.
        frames: how many there are, where that is known for certain; else None.
        blocks: the samples: bytes of int16, little endian and interleaved, or float32 of shape (n, channels).
    """

    sample_rate: int
    channels: int
    frames: int | None
    blocks: Iterator[bytes | npt.NDArray[np.float32]]


@contextmanager
def decode_blocks(source: MediaInput) -> Iterator[Sound]:
    """The sound as it is, a part at a time, of any length; memory does not grow with it.

    Raises as ``decode_audio``, also while the blocks are taken.
    """
    checked = check_media(source, role="audio")
    _refuse_cut_wav(checked)
    _refuse_cut_ogg(checked)
    with open_media(checked) as file:
        wav = read_wav_header(file.read(4096), file.seek(0, io.SEEK_END))
        if wav is not None and wav.pcm and wav.bits == 16 and wav.size:
            step = 2 * wav.channels
            frames = wav.size // step
            file.seek(wav.start)
            sizes = _parts(frames * step, _READ * step)
            yield Sound(wav.sample_rate, wav.channels, frames, (file.read(size) for size in sizes))
            return
    with _opened(checked) as (container, stream):
        declared = _declared_duration(container, stream)
        blocks = _counted(checked, _blocks(container, stream, stream.rate, None), stream.rate, declared)
        yield Sound(stream.rate, stream.channels, None, blocks)


def _parts(whole: int, part: int) -> Iterator[int]:
    for start in range(0, whole, part):
        yield min(part, whole - start)


def _counted(
    checked: Path | bytes, blocks: Iterator[npt.NDArray[np.float32]], rate: int, declared: float | None
) -> Iterator[npt.NDArray[np.float32]]:
    """The blocks, and a ``MediaError`` at the end where that came too early."""
    count = 0
    for block in blocks:
        count += len(block)
        yield block
    _check_whole(checked, count, rate, declared)


def _blocks(container: Any, stream: Any, rate: int, layout: str | None) -> Iterator[npt.NDArray[np.float32]]:
    import av

    resampler = av.AudioResampler(format="flt", layout=layout or stream.layout.name, rate=rate)
    channels = len(av.AudioLayout(layout).channels) if layout else stream.channels
    for frame in _resampled(container.decode(stream), resampler):
        yield frame.to_ndarray().reshape(-1, channels)


def _resampled(frames: Any, resampler: Any) -> Iterator[Any]:
    for frame in frames:
        frame.pts = None  # times with gaps would be refused; the samples follow each other
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


@contextmanager
def _opened(checked: Path | bytes) -> Iterator[tuple[Any, Any]]:
    """The container and its first sound track; what FFmpeg refuses becomes a ``MediaError``."""
    av = _av()
    with open_media(checked) as file:
        try:
            with _container(av, file) as container:
                if not container.streams.audio:
                    kinds = sorted({f"{s.type} ({s.codec_context.name})" for s in container.streams if s.codec_context})
                    raise MediaError(
                        f"{_shown(checked)} holds {', '.join(kinds) or 'nothing'} and no sound.",
                        hint="Give a recording with a sound track.",
                    )
                stream = container.streams.audio[0]
                if stream.codec_context is None:
                    raise MediaError(
                        f"{_shown(checked)} holds sound in a coding that is not known.",
                        hint="Give a WAV, FLAC, Ogg, Opus, MP3, M4A or WebM file.",
                    )
                if stream.rate < _LOWEST_RATE:
                    # A small file would become hours of sound.
                    raise MediaError(
                        f"{_shown(checked)} says that its sample rate is {stream.rate} Hz, which is no sound.",
                        hint="Write its header anew.",
                    )
                yield container, stream
        except (av.error.FFmpegError, ValueError, OverflowError) as exc:
            if isinstance(exc, MediaError):
                raise
            raise MediaError(
                f"{_shown(checked)} cannot be read as sound: {getattr(exc, 'strerror', None) or exc}.",
                hint="Give a WAV, FLAC, Ogg, Opus, MP3, M4A or WebM file.",
            ) from exc


def _container(av: Any, file: BinaryIO) -> Any:
    # PyAV before 19 gives up on a title that is not UTF-8.
    lenient = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
    # A file object and no protocol: what the container names is not opened.
    return av.open(file, options={"protocol_whitelist": "none", "format_whitelist": CONTAINERS}, **lenient)


def _declared_duration(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration is not None else None


def _refuse_cut_wav(checked: Path | bytes) -> None:
    """FFmpeg reads a WAV file that ends early as if that were its end."""
    with open_media(checked) as file:
        head = file.read(4096)
        length = file.seek(0, io.SEEK_END)
    wav = read_wav_header(head, length)
    if wav is None:
        return
    said = int.from_bytes(head[wav.start - 4 : wav.start], "little")
    # Programs that write to a pipe leave the size at its maximum; SoX at a little less than 0x7FFFF000.
    if said > wav.size and said < 0x7FFF0000:
        raise MediaError(
            f"{_shown(checked)} is cut short: its header says {said} bytes of sound, {wav.size} are there.",
            hint="Fetch or record it again.",
        )


def _refuse_cut_ogg(checked: Path | bytes) -> None:
    """FFmpeg drops an Ogg page that is not whole, and there is no length in the header to miss it by."""
    with open_media(checked) as file:
        if file.read(4) != b"OggS":
            return
        length = file.seek(0, io.SEEK_END)
        file.seek(max(0, length - 2 * _OGG_PAGE))
        tail = file.read()
    page = tail.rfind(b"OggS\0")  # https://www.rfc-editor.org/rfc/rfc3533#section-6
    if page < 0:
        return
    segments = tail[page + 26 : page + 27]
    sizes = tail[page + 27 : page + 27 + segments[0]] if segments else b""
    if not segments or len(sizes) < segments[0] or page + 27 + len(sizes) + sum(sizes) > len(tail):
        raise MediaError(
            f"{_shown(checked)} is cut short: its last page is not whole.", hint="Fetch or record it again."
        )


def _too_long(checked: Path | bytes, duration: float, limit: float) -> MediaError:
    return MediaError(
        f"{_shown(checked)} holds more than {limit:g} s of sound (at least {duration:.0f} s).",
        hint="Cut it into parts, or allow more with max_duration.",
    )


def _shown(checked: Path | bytes) -> str:
    if isinstance(checked, Path):
        return repr(str(checked))
    kind = sniff(checked[:64]) or f"unknown data that begins with {checked[:8]!r}"
    return f"{len(checked)} bytes of {kind}"


def probe_audio(source: MediaInput) -> tuple[int, int, float, str]:
    """Sample rate, channels, duration in seconds and format ("wav", "mp3", ...; "" where unknown), by the header.

    Where the header has no duration the sound is decoded. Raises as ``decode_audio``.
    """
    checked = check_media(source, role="audio")
    with _opened(checked) as (container, stream):
        rate, channels, duration = stream.rate, stream.channels, _declared_duration(container, stream)
    if duration is None:
        with decode_blocks(checked) as sound:
            duration = sum(map(len, sound.blocks)) / rate
    with open_media(checked) as file:
        return rate, channels, duration, sniff(file.read(64))


def probe_video(source: MediaInput) -> tuple[int, int, float, float, int]:
    """Width, height, frames per second, duration in seconds and number of frames.

    Raises:
        MediaError: no video in it.
    """
    av = _av()
    checked = check_media(source, role="video")
    with open_media(checked) as file:
        try:
            with _container(av, file) as container:
                if not container.streams.video:
                    raise MediaError(f"{_shown(checked)} holds no video.")
                stream = container.streams.video[0]
                fps = float(stream.average_rate or 0)
                duration = _declared_duration(container, stream) or 0.0
                frames = stream.frames or round(duration * fps)
                return stream.width, stream.height, fps, duration, frames
        except av.error.FFmpegError as exc:
            raise MediaError(f"{_shown(checked)} cannot be read as video: {exc.strerror}.") from exc


def to_int16(samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """int16 samples, little endian and contiguous, of float samples in [-1, 1] (clipped) or int16 ones.

    Args:
        samples: shape (n,) or (n, channels).

    Raises:
        GenerationError: another shape or type, or values that are no numbers.
    """
    import numpy as np

    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= 255):
        raise GenerationError(f"Sound has the shape {samples.shape}.", hint="It must be (n,) or (n, channels).")
    if samples.dtype == np.int16:
        return np.ascontiguousarray(samples, dtype="<i2")
    if not np.issubdtype(samples.dtype, np.floating):
        raise GenerationError(f"Sound has the type {samples.dtype}.", hint="It must be float or int16.")
    if not np.isfinite(samples).all():
        raise GenerationError("The engine gave sound with values that are no numbers (NaN or infinite).")
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)  # 32767 is no number of float16: its neighbour 32768 would wrap around
    scaled = np.clip(samples, -1, 1)  # one copy, which the rest is done in
    scaled *= 32768
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 32767, out=scaled)
    return np.ascontiguousarray(scaled.astype("<i2"))


def resample(samples: npt.NDArray[Any], from_rate: int, to_rate: int) -> npt.NDArray[Any]:
    """The same sound at another rate, same type and number of dimensions (soxr, high quality)."""
    if from_rate == to_rate:
        return samples
    try:
        import soxr
    except ImportError as exc:
        raise _missing("soxr", exc) from exc
    resampled: npt.NDArray[Any] = soxr.resample(samples, from_rate, to_rate)
    return resampled


def encode_audio(samples: npt.NDArray[Any], sample_rate: int, output_format: str) -> bytes:
    """A sound file of float samples in [-1, 1] (clipped) or int16 ones, of shape (n,) or (n, channels).

    ``output_format`` is "wav" (16-bit PCM), "flac" (16 bit), "ogg" (Vorbis), "opus" (in Ogg) or "mp3". Opus and MP3
    know certain rates only: sound of another one is resampled to the next higher of them.

    Raises:
        OptionError: an unknown format.
        GenerationError: samples of a wrong shape or type, or the encoder refuses them.
    """
    from lollms_modalities.audio_encoder import AudioEncoder

    wanted = check_format(output_format, Audio)
    fixed = to_int16(samples)
    channels = 1 if fixed.ndim == 1 else fixed.shape[1]
    buffer = io.BytesIO()
    with AudioEncoder(buffer, sample_rate, channels, output_format=wanted, frames=len(fixed)) as encoder:
        encoder.feed(fixed)
    return buffer.getvalue()


def _av() -> Any:
    try:
        import av
        import av.error
    except ImportError as exc:
        raise _missing("av", exc) from exc
    return av


def _missing(package: str, cause: Exception) -> BindingDependencyError:
    return BindingDependencyError(
        f"Sound files are read and written with {package}, which cannot be imported ({cause}).",
        hint='Run pip install "lollms-modalities-core[audio]".',
    )
