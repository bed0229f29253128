"""The header of a WAV file, as programs really write it, and the sound that it stands for.

Headers lie: a program that writes to a pipe leaves the size of the sound at 0 or at some large number, others count
the header in, or leave out the pad byte after a chunk of odd length. What is there decides.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO, NamedTuple, SupportsIndex

from lollms_modalities.errors import GenerationError
from lollms_modalities.media.view import View

LOWEST_RATE = 1000  # samples per second; below it a small file would become hours of sound
# A WAV header also holds the rate times the bytes a frame, of at most 255 channels, in 32 bits.
# What resamples takes memory by the rate.
HIGHEST_RATE = 0xFFFFFFFF // 512
_PLAIN = {1: "integer", 3: "float", 6: "A-law", 7: "mu-law"}
_EXTENSIBLE = 0xFFFE
# What stands where the size is not known: SoX has a little less than 0x7FFFF000, others 2,000,000,000, -1 or the like.
_PLACEHOLDER = 2_000_000_000
_CHUNKS = 1000  # more than any program writes


class Wav(NamedTuple):
    """What a WAV header says.

    Attributes:
        sample_rate: samples per second and channel.
        channels: how many.
        bits: of one sample; 0 where that has no meaning.
        pcm: whether the samples are integers.
        start: where the sound begins, in bytes.
        size: how many bytes of sound are there.
        said: how many the header says.
        plain: whether each sample takes the same number of bits, so that the size tells the length.
        form: the chunk "fmt " with its name and size.
        true: whether any program finds the sound by the header.
    """

    sample_rate: int
    channels: int
    bits: int
    pcm: bool
    start: int
    size: int
    said: int
    plain: bool
    form: bytes
    true: bool

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels; 1 where that has no meaning."""
        return max(1, self.channels * self.bits // 8)

    @property
    def duration(self) -> float:
        """Seconds, where the sound is ``plain``."""
        return self.size // self.frame / self.sample_rate

    @property
    def missing(self) -> int:
        """Bytes that a file which was cut lacks; 0 where the header's number means nothing, or is off by a header."""
        lacking = self.said - self.size
        return lacking if self.said < _PLACEHOLDER and lacking > self.start + 8 else 0


def read_wav(file: BinaryIO) -> Wav | None:
    """What the header says, whatever stands before the sound; None where it is no WAV file with sound in it."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        return None
    at, form, long_size, padded = 12, b"", None, True
    for _ in range(_CHUNKS):
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        if name == b"fmt " and 16 <= size < 65536:
            form = name + struct.pack("<I", size) + file.read(size)
        elif name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data":
            said = long_size if size == 0xFFFFFFFF and long_size is not None else size
            whole = int.from_bytes(head[4:8], "little") + 8
            true = padded and (head[:4] != b"RIFF" or at + 8 + said <= whole <= length + 1)
            return _wav(form, at + 8, said, length, file, true)
        after = at + 8 + size
        if size & 1:
            file.seek(after)
            # The pad byte is a zero; where a name stands in its place it was forgotten.
            here = file.read(5)
            unpadded = _is_name(here[:4]) and not (here[:1] == b"\0" or _is_name(here[1:5]))
            padded &= not unpadded
            after += not unpadded
        at = after
        if at + 8 > length:
            return None
    return None


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _wav(form: bytes, start: int, said: int, length: int, file: BinaryIO, true: bool) -> Wav | None:
    if len(form) < 24:
        return None
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form, 8)
    if tag == _EXTENSIBLE and len(form) >= 34:
        (tag,) = struct.unpack_from("<H", form, 32)
    if not block and tag in _PLAIN and bits:
        block = channels * ((bits + 7) // 8)
        form, true = form[:16] + struct.pack("<IH", min(rate * block, 0xFFFFFFFF), block) + form[22:], False
    if not channels or not LOWEST_RATE <= rate <= HIGHEST_RATE or not block:
        return None
    there = max(0, length - start)
    size = min(said, there)
    if not said and there:
        # Nothing was said, unless what follows is another chunk, and the file really has no sound.
        file.seek(start)
        name, after = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        size = 0 if _is_name(name) and after <= there - 8 else there
    plain = tag in _PLAIN and bits > 0 and block == channels * bits // 8
    frame = channels * bits // 8 if plain else 1
    true = true and said == size and size % frame == 0
    return Wav(rate, channels, bits, plain and tag == 1, start, size - size % frame, said, plain, form, true)


class Part(View):
    """A part of a file, as a file of its own: ``head``, and the ``size`` bytes from ``start`` on."""

    def __init__(self, file: BinaryIO, start: int, size: int, head: bytes = b"") -> None:
        super().__init__(len(head) + size)
        self._file = file
        self._start = start
        self._head = head

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        inside = self._at - len(self._head)
        if inside < 0:
            data = self._head[self._at : self._at + len(buffer)]
        else:
            self._file.seek(self._start + inside)
            data = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def with_true_header(file: BinaryIO, wav: Wav) -> BinaryIO:
    """The file as one whose header is true: what the header describes, and nothing else."""
    size = min(wav.size, 0xFFFFFFFF - 8 - len(wav.form))  # the largest stands for "to the end"
    pad = b"\0" * (len(wav.form) & 1)
    riff = struct.pack("<4sI4s", b"RIFF", min(0xFFFFFFFF, 12 + len(wav.form) + len(pad) + size), b"WAVE")
    return Part(file, wav.start, wav.size, riff + wav.form + pad + struct.pack("<4sI", b"data", size))  # type: ignore[return-value]


def check_rate(sample_rate: object) -> None:
    """A ``GenerationError`` where it is no rate that sound can have; encoders crash on some of those."""
    whole = isinstance(sample_rate, SupportsIndex) and not isinstance(sample_rate, bool)
    if not whole or not 1 <= sample_rate.__index__() <= HIGHEST_RATE:  # type: ignore[attr-defined]
        raise GenerationError(f"Sound has the sample rate {sample_rate!r}.", hint="It must be a positive int, in Hz.")


def wav_header(sample_rate: int, channels: int, size: int | None, *, wide: bool = False) -> bytes:
    """The 44 bytes before ``size`` bytes of 16-bit PCM (RIFF WAVE, http://soundfile.sapp.org/doc/WaveFormat).

    Beyond 4 GB it is the 80 bytes of RF64 (https://tech.ebu.ch/docs/tech/tech3306v1_1.pdf).

    Args:
        size: None where it is not known and the header will not be written again.
        wide: always 80 bytes, so that the one can be written over the other.
    """
    check_rate(sample_rate)
    block = 2 * channels
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, sample_rate * block, block, 16)
    if size is None:
        return b"RIFF\xff\xff\xff\xffWAVE" + form + b"data\xff\xff\xff\xff"
    if size + 72 > 0xFFFFFFFF:
        long = struct.pack("<4sIQQQI", b"ds64", 28, size + 72, size, size // block, 0)
        return b"RF64\xff\xff\xff\xffWAVE" + long + form + b"data\xff\xff\xff\xff"
    room = struct.pack("<4sI28x", b"JUNK", 28) if wide else b""
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(room) + size, b"WAVE")
        + room
        + form
        + struct.pack("<4sI", b"data", size)
    )
