"""Sound files in and out: decode anything, encode what players read.

Needs the extra ``[audio]``: numpy, av, soundfile, soxr.

Decoding is PyAV's, in ``decoding``; encoding is soundfile's.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lollms_modalities.decoding import CONTAINERS as CONTAINERS
from lollms_modalities.decoding import MAX_DURATION as MAX_DURATION
from lollms_modalities.decoding import _shown, import_av, missing, open_container
from lollms_modalities.decoding import decode as _decode
from lollms_modalities.decoding import probe as _probe
from lollms_modalities.errors import GenerationError, MediaError
from lollms_modalities.media import Audio, check_format, check_media, check_rate, open_media, sniff
from lollms_modalities.media_input import MediaInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_OGG_RATE = 192000  # libsndfile's Vorbis encoder crashes beyond 200 kHz
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# libsndfile's Vorbis and Opus encoders put a whole write on the stack.
_FRAMES_A_WRITE = 65536


def decode_audio(
    source: MediaInput, sample_rate: int = 16000, *, max_duration: float | None = MAX_DURATION, track: int | None = None
) -> npt.NDArray[np.float32]:
    """The sound as float32 in [-1, 1] (clipped), mono, shape (n,), at ``sample_rate``.

    Channels are added, inverted ones turned over first, and the sum is as loud as the loudest of them. Sound that
    begins late in a film, or has gaps, stands where it belongs, with silence before it. What is damaged is left out,
    with a ``MediaWarning`` and, in a call, ``skipped_seconds`` and ``skipped_packets`` in ``provenance.extra``.

    Args:
        source: a path, bytes, one of our results or a binary file, of any format that FFmpeg reads.
        sample_rate: wanted samples per second.
        max_duration: seconds; longer sound is refused as soon as that much is decoded, so memory stays bounded.
        track: which sound track, from 0; where it is left out the one that is marked as default, or the first.

    Raises:
        AudioFileNotFoundError: there is no such file.
        MediaError: empty, cut short, no sound in it, longer than ``max_duration``, samples that are no numbers, or no
            media at all.
        OptionError: there is no such track.
        BindingDependencyError: PyAV is not installed.
    """
    samples, _ = _decode(source, sample_rate, True, max_duration, track)
    return samples[:, 0]


def decode_frames(
    source: MediaInput, *, max_duration: float | None = MAX_DURATION, track: int | None = None
) -> tuple[npt.NDArray[np.float32], int]:
    """The sound as it is: float32 in [-1, 1], shape (n, channels), and its sample rate; else as ``decode_audio``.

    Where rate or channels change midway, all of it has those of its beginning.
    """
    return _decode(source, None, False, max_duration, track)


def probe_audio(source: MediaInput, *, track: int | None = None) -> tuple[int, int, float, str]:
    """Sample rate, channels, duration in seconds and format ("wav", "mp3", ...; "" where unknown), without decoding.

    The duration is that of what ``decode_audio`` gives, by the packets' times. Raises as ``decode_audio``.
    """
    checked = check_media(source, role="audio")
    rate, channels, duration = _probe(checked, track)
    with open_media(checked) as file:
        return rate, channels, duration, sniff(file.read(64))


def probe_video(source: MediaInput) -> tuple[int, int, float, float, int]:
    """Width, height, frames per second, duration in seconds and number of frames.

    Raises:
        MediaError: no video in it.
    """
    av = import_av()
    checked = check_media(source, role="video")
    with open_media(checked) as file:
        try:
            with open_container(av, file) as container:
                if not container.streams.video:
                    raise MediaError(f"{_shown(checked)} holds no video.")
                stream = container.streams.video[0]
                fps = float(stream.average_rate or 0)
                duration = _duration_of(container, stream)
                frames = stream.frames or round(duration * fps)
                return stream.width, stream.height, fps, duration, frames
        except av.error.FFmpegError as exc:
            raise MediaError(f"{_shown(checked)} cannot be read as video: {exc.strerror}.") from exc


def _duration_of(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6


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
    return np.ascontiguousarray(np.minimum(np.rint(np.clip(samples, -1, 1) * 32768.0), 32767).astype("<i2"))


def resample(samples: npt.NDArray[Any], from_rate: int, to_rate: int) -> npt.NDArray[Any]:
    """The same sound at another rate, same type and number of dimensions (soxr, high quality)."""
    if from_rate == to_rate:
        return samples
    try:
        import soxr
    except ImportError as exc:
        raise missing("soxr", exc) from exc
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
    import numpy as np

    wanted = check_format(output_format, Audio)
    fixed = to_int16(samples)
    check_rate(sample_rate)
    if wanted == "wav":
        return bytes(Audio.from_samples(fixed, sample_rate))
    try:
        import soundfile
    except (ImportError, OSError) as exc:
        raise missing("soundfile", exc) from exc
    rates = {"opus": _OPUS_RATES, "mp3": _MP3_RATES}.get(wanted)
    if rates and sample_rate not in rates:
        higher = next((rate for rate in rates if rate >= sample_rate), rates[-1])
        fixed, sample_rate = np.ascontiguousarray(resample(fixed, sample_rate, higher)), higher
    container, subtype = {
        "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
    }[wanted]  # fmt: skip
    channels = 1 if fixed.ndim == 1 else fixed.shape[1]
    if wanted == "ogg" and sample_rate > _OGG_RATE:
        fixed, sample_rate = np.ascontiguousarray(resample(fixed, sample_rate, 48000)), 48000
    buffer = io.BytesIO()
    try:
        with soundfile.SoundFile(buffer, "w", sample_rate, channels, subtype, format=container) as file:
            for start in range(0, len(fixed), _FRAMES_A_WRITE):
                block = fixed[start : start + _FRAMES_A_WRITE]
                # libsndfile's MP3 encoder garbles int16 of two channels.
                file.write(block if wanted == "flac" else block / np.float32(32768))
    except soundfile.LibsndfileError as exc:
        raise GenerationError(
            f"{channels} channels at {sample_rate} Hz cannot be written as {wanted}: {exc}.",
            hint="Ask for wav or flac.",
        ) from exc
    if not buffer.getbuffer().nbytes:
        raise GenerationError(f"Sound without a sample cannot be written as {wanted}.", hint="Ask for wav.")
    return buffer.getvalue()
