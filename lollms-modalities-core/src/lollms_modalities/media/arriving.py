"""Sound that arrives in a pipe or a socket, before its end is there: a WAV file as it is written, or bare samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lollms_modalities.errors import MediaError
from lollms_modalities.media.chunk import AudioChunk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PART = 1 << 14  # bytes that are read at once, if there are so many
# As in ``wav``: from here on, a header's number stands for a length that was not known when it was written.
_PLACEHOLDER = 2_000_000_000
_EXTENSIBLE = 0xFFFE
_INTEGER, _FLOAT = 1, 3
_LONGEST_HEADER = 1 << 20
# What hardly ever stands at the beginning of bare samples. An MP3 without a tag begins as samples may: see ``_frame``.
_OTHERS = {
    b"ID3": (0, "MP3"), b"fLaC": (0, "FLAC"), b"OggS": (0, "Ogg"), b"ftyp": (4, "MP4"),
    b"\x1aE\xdf\xa3": (0, "Matroska"), b"FORM": (0, "AIFF"), b"caff": (0, "CAF"), b"#!AMR": (0, "AMR"),
}  # fmt: skip
# Of an MP3's frames, in MPEG 1 and in MPEG 2 and 2.5.
_KILOBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


class _Form(NamedTuple):
    kind: int
    channels: int
    sample_rate: int
    bits: int


def read_chunks(file: _Readable, *, sample_rate: int = 16000, channels: int = 1) -> Iterator[AudioChunk]:
    """What arrives, in chunks as it does: of a WAV file, by its header; else 16-bit samples, little endian.

    Args:
        file: open for reading bytes, such as ``sys.stdin.buffer`` or a socket's ``makefile("rb")``.
        sample_rate: of bare samples, per second and channel.
        channels: of bare samples, interleaved.

    Raises:
        MediaError: it is of another format, or a WAV file of samples that are no plain numbers.
    """
    # Whatever is there, rather than waiting for more.
    read = getattr(file, "read1", file.read)
    held = _at_least(read, b"", 12)
    if held[:4] in (b"RIFF", b"RF64", b"BW64") and held[8:12] == b"WAVE":
        form, size, held = _header(read, held)
    else:
        held = _refuse_others(read, held)
        form, size = _Form(_INTEGER, channels, sample_rate, 16), None
    frame = form.channels * form.bits // 8
    left = size
    while True:
        if left is not None:
            held = held[:left]
        whole = len(held) - len(held) % frame
        if whole:
            yield AudioChunk(_as_int16(held[:whole], form), form.sample_rate, form.channels)
            left = None if left is None else left - whole
        held = held[whole:]
        if left is not None and left < frame:
            return
        more = read(_PART)
        if not more:
            return  # what is held is a part of a sample
        held += more


def _at_least(read: Any, held: bytes, size: int) -> bytes:
    while len(held) < size and (more := read(_PART)):
        held += more
    return held


def _header(read: Any, held: bytes) -> tuple[_Form, int | None, bytes]:
    """The samples' form, the bytes of sound (None for all that come), and what of the sound has been read already."""
    form, at = None, 12
    while at < _LONGEST_HEADER:
        held = _at_least(read, held, at + 8)
        if len(held) < at + 8:
            break
        name, size = struct.unpack_from("<4sI", held, at)
        at += 8
        if name == b"data":
            if form is None:
                break
            known = 0 < size < _PLACEHOLDER
            return form, size if known else None, held[at:]
        held = _at_least(read, held, at + min(size, _LONGEST_HEADER))
        if name == b"fmt " and 16 <= size <= len(held) - at:
            form = _form(held[at : at + size])
        at += size + size % 2
    raise MediaError("What arrives begins like a WAV file and holds no sound.", hint="Look at what writes it.")


def _form(text: bytes) -> _Form:
    kind, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", text)
    if kind == _EXTENSIBLE and len(text) >= 26:
        (kind,) = struct.unpack_from("<H", text, 24)
    sizes = {_INTEGER: (8, 16, 24, 32), _FLOAT: (32, 64)}.get(kind, ())
    if bits not in sizes or not channels:
        raise MediaError(
            f"The WAV file that arrives holds {channels} channels of {bits}-bit samples in the coding {kind}.",
            hint="Have it written as 16-bit PCM, such as by ffmpeg -i IN -f wav -.",
        )
    return _Form(kind, channels, sample_rate, bits)


def _refuse_others(read: Any, held: bytes) -> bytes:
    """What was read, which may be more than before, unless it is of another format."""
    kind = next((name for mark, (at, name) in _OTHERS.items() if held[at : at + len(mark)] == mark), None)
    if kind is None and (frame := _frame(held)) is not None:
        kind, length = frame
        held = _at_least(read, held, length + 12)
        # Samples may look like one frame; two of a kind, the second where the first ends, are no chance.
        if held[length : length + 2] != held[:2] or _frame(held[length:]) is None:
            return held
    if kind is not None:
        raise MediaError(
            f"What arrives is {kind}, which is no plain sound.",
            hint="Decode it on the way: ffmpeg -i IN -f wav - | ...; a whole file goes to transcribe.",
        )
    return held


def _frame(head: bytes) -> tuple[str, int] | None:
    """Name and bytes of the frame that begins here: MP3 (ISO 11172-3, 2.4.1.3) or AAC (ADTS, ISO 13818-7, 6.2)."""
    if len(head) < 7 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return ("AAC", length) if length > 7 else None
    version, rate, kilobits = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if head[1] & 0xE6 != 0xE2 or version == 1 or rate == 3 or not 0 < kilobits < 15:
        return None
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = (_KILOBITS_1 if version == 3 else _KILOBITS_2)[kilobits - 1] * 1000
    return "MP3", (144 if version == 3 else 72) * bits // hertz + (head[2] >> 1 & 1)


def _as_int16(data: bytes, form: _Form) -> bytes:
    if (form.kind, form.bits) == (_INTEGER, 16):
        return data
    import numpy as np

    from lollms_modalities.media.samples import to_int16

    if form.kind == _FLOAT:
        floats = np.nan_to_num(np.frombuffer(data, f"<f{form.bits // 8}"), posinf=1.0, neginf=-1.0)
        return to_int16(floats).tobytes()
    return _shortened(np.frombuffer(data, np.uint8).reshape(-1, form.bits // 8)).tobytes()


def _shortened(samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The upper two bytes of integer samples, given as their bytes; those of one byte have their zero at 128."""
    import numpy as np

    if samples.shape[1] == 1:
        return np.stack([np.zeros_like(samples[:, 0]), samples[:, 0] ^ 128], axis=1)
    return np.ascontiguousarray(samples[:, -2:])
