"""Sound files in and out: decode anything, encode what players read.

Needs the extra ``[audio]``: numpy, av, soundfile, soxr.

Decoding is PyAV's, in ``decoding``; encoding is done by ``audio_encoder``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities.decoding import CONTAINERS as CONTAINERS
from lollms_modalities.decoding import MAX_DURATION as MAX_DURATION
from lollms_modalities.decoding import Damage, heard, missing, shown_as
from lollms_modalities.decoding import decode as _decode
from lollms_modalities.errors import GenerationError
from lollms_modalities.media import Audio, check_format, check_media, open_media
from lollms_modalities.media_input import MediaInput
from lollms_modalities.mixing import Made
from lollms_modalities.probing import probe_audio as probe_audio
from lollms_modalities.probing import probe_video as probe_video
from lollms_modalities.structure import refuse_cut
from lollms_modalities.wav import read_wav

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_READ = 65536  # frames of a WAV file at a time


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


class Sound(NamedTuple):
    """Sound that is decoded while it is read.

    Attributes:
        sample_rate, channels: of the sound as it is; where they change midway, those of its beginning.
        frames: how many there are, where that is known for certain; else None.
        blocks: the samples: bytes of int16, little endian and interleaved, or float32 of shape (n, channels).
    """

    sample_rate: int
    channels: int
    frames: int | None
    blocks: Iterator[bytes | npt.NDArray[np.float32]]


@contextmanager
def decode_blocks(source: MediaInput, *, track: int | None = None) -> Iterator[Sound]:
    """The sound as it is, a part at a time, of any length; memory does not grow with it.

    Raises as ``decode_audio``, also while the blocks are taken.
    """
    checked = check_media(source, role="audio")
    shown = shown_as(checked)
    with open_media(checked) as file:
        refuse_cut(file, shown)
        wav = read_wav(file)
        if wav is not None and wav.pcm and wav.bits == 16 and wav.size:
            file.seek(wav.start)
            sizes = _parts(wav.size, _READ * wav.frame)
            yield Sound(wav.sample_rate, wav.channels, wav.size // wav.frame, (file.read(size) for size in sizes))
            return
        damage = Damage()
        made = Made(shown, None, mono=False, max_duration=None)

        def blocks() -> Iterator[npt.NDArray[np.float32]]:
            for gap, samples, rate in heard(file, shown, track, None, damage):
                made.add_silence(gap, rate, samples.shape[1])
                made.add(samples, rate)
                yield from made.ready()
            made.finish(str(damage))
            yield from made.ready()
            damage.tell(shown, made.duration)

        each = blocks()
        first = next(each)
        yield Sound(made.rate, made.channels, None, chain([first], each))


def _parts(whole: int, part: int) -> Iterator[int]:
    for start in range(0, whole, part):
        yield min(part, whole - start)


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


def resampler(from_rate: int, to_rate: int, channels: int) -> Any:
    """soxr's, for float32 of shape (n, channels), a part at a time."""
    try:
        import soxr
    except ImportError as exc:
        raise missing("soxr", exc) from exc
    return soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")


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
    from lollms_modalities.audio_encoder import AudioEncoder

    wanted = check_format(output_format, Audio)
    fixed = to_int16(samples)
    channels = 1 if fixed.ndim == 1 else fixed.shape[1]
    buffer = io.BytesIO()
    with AudioEncoder(buffer, sample_rate, channels, output_format=wanted, frames=len(fixed)) as encoder:
        encoder.feed(fixed)
    return buffer.getvalue()
