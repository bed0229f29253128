"""Sound files in: anything that FFmpeg reads, whole or a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities.media.decoding import MAX_DURATION as MAX_DURATION
from lollms_modalities.media.decoding import Damage, heard, shown_as
from lollms_modalities.media.decoding import decode as _decode
from lollms_modalities.media.input import check_media, open_media
from lollms_modalities.media.mixing import Made
from lollms_modalities.media.structure import refuse_cut
from lollms_modalities.media.wav import read_wav

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.input import MediaInput


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
