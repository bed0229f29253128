"""WavPack and TTA files that are damaged in the middle: where their blocks lie, so that those behind it are heard.

FFmpeg's readers give up at the first byte that is missing or too many, and at tags that they don't expect.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from lollms_modalities.media.view import View

_WAVPACK = b"wvpk"
_LARGEST = 1 << 20  # bytes of a block of WavPack, as its own library has it
_TAGS = (b"APETAGEX", b"TAG", b"ID3")  # which follow the last block
_NEAR = 1 << 12  # bytes by which a frame of TTA is looked for to both sides of its place
_SEARCHES = 4


def resynced(file: BinaryIO) -> BinaryIO:
    """The file; of a damaged one of WavPack or TTA one in which what is whole stands where it is looked for."""
    file.seek(0)
    head = file.read(4)
    if head == _WAVPACK:
        return _pieced(file, list(_blocks(file)))
    if head == b"TTA1":
        return _frames(file)
    file.seek(0)
    return file


class Pieces(View):
    """Parts of a file, one after the other; a part that has no place is zeros."""

    def __init__(self, file: BinaryIO, parts: list[tuple[int | None, int]]) -> None:
        super().__init__(sum(size for _, size in parts))
        self._file = file
        self._parts = parts

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        begin = 0
        for start, size in self._parts:
            inside = self._at - begin
            if inside < size:
                count = min(len(buffer), size - inside)
                if start is None:
                    data = bytes(count)
                else:
                    self._file.seek(start + inside)
                    data = self._file.read(count)
                buffer[: len(data)] = data
                self._at += len(data)
                return len(data)
            begin += size
        return 0


def _pieced(file: BinaryIO, parts: list[tuple[int, int]]) -> BinaryIO:
    joined: list[tuple[int | None, int]] = []
    for start, size in parts:
        if joined and joined[-1][0] is not None and joined[-1][0] + joined[-1][1] == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((start, size))
    whole = joined in ([], [(0, file.seek(0, io.SEEK_END))])
    file.seek(0)
    return file if whole else Pieces(file, joined)  # type: ignore[return-value]


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where the whole blocks of a WavPack file lie, and how long they are (https://www.wavpack.com/WavPack5FileFormat.pdf).

    A block is whole when another, a tag, or the file's end follows it.
    """
    length = file.seek(0, io.SEEK_END)
    at = 0
    while at + 32 <= length:
        file.seek(at)
        head = file.read(12)
        size = 8 + int.from_bytes(head[4:8], "little")
        version = int.from_bytes(head[8:10], "little")
        if head[:4] == _WAVPACK and 32 <= size <= _LARGEST and 0x402 <= version <= 0x410:
            file.seek(at + size)
            after = file.read(8)
            if at + size == length or after.startswith((_WAVPACK, *_TAGS)):
                yield at, size
                at += size
                continue
        at = _next(file, at + 1, length)


def _next(file: BinaryIO, at: int, length: int) -> int:
    while at < length:
        file.seek(at)
        data = file.read(1 << 16)
        found = data.find(_WAVPACK)
        if found >= 0:
            return at + found
        at += max(1, len(data) - 3)
    return length


def _frames(file: BinaryIO) -> BinaryIO:
    """A TTA file in which each frame whose checksum is right stands at its place, and zeros where none is.

    After a header of 22 bytes follow the lengths of all frames (https://www.ietf.org/archive/id/draft-tta-00.txt has no
    better; http://tausoft.org/wiki/True_Audio_Codec_Format).
    """
    file.seek(0)
    head = file.read(22)
    if len(head) < 22:
        file.seek(0)
        return file
    rate, samples = struct.unpack("<II", head[10:18])
    count = -(-samples // max(1, 256 * rate // 245))
    table = file.read(4 * count + 4)
    if not 0 < count <= 1_000_000 or len(table) < 4 * count + 4 or _sum(table[:-4]) != table[-4:]:
        file.seek(0)
        return file
    sizes = struct.unpack(f"<{count}I", table[:-4])
    place = 22 + len(table)
    length = _end(file)
    beside = length - place - sum(sizes)  # by how much the last frame lies beside its place
    parts: list[tuple[int | None, int]] = [(0, place)]
    shift = searches = 0
    damaged = False
    for size in sizes:
        found = next((by for by in dict.fromkeys((shift, 0, beside)) if _is_frame(file, place + by, size)), None)
        if found is None and searches < _SEARCHES:
            searches += 1
            found = _shifted(file, place, size)
        if found is None and place + shift + size > length:
            damaged = True
            break  # the end is missing, and not whole frames in the middle
        damaged |= found != 0
        shift = shift if found is None else found
        parts.append((None if found is None else place + found, size))
        place += size
    file.seek(0)
    return Pieces(file, parts) if damaged else file  # type: ignore[return-value]


def _end(file: BinaryIO) -> int:
    """Where the tags begin that follow the sound (ID3v1; APE, https://wiki.hydrogenaud.io/index.php?title=APEv2)."""
    end = file.seek(0, io.SEEK_END)
    while True:
        file.seek(max(0, end - 128))
        if file.read(3) == b"TAG":
            end -= 128
            continue
        file.seek(max(0, end - 32))
        footer = file.read(32)
        if not footer.startswith(b"APETAGEX"):
            return end
        _, size, _, flags = struct.unpack("<IIII", footer[8:24])
        end -= max(32, size) + (32 if flags >> 31 else 0)


def _shifted(file: BinaryIO, place: int, size: int) -> int | None:
    """By how much a frame lies beside its place; None where it is not near."""
    start = max(0, place - _NEAR)
    file.seek(start)
    data = memoryview(file.read(size + 2 * _NEAR))
    for at in range(len(data) - size + 1):
        end = at + size - 4
        if zlib.crc32(data[at:end]) == int.from_bytes(data[end : end + 4], "little"):
            return start + at - place
    return None


def _is_frame(file: BinaryIO, at: int, size: int) -> bool:
    if at < 0 or size < 4:
        return False
    file.seek(at)
    data = file.read(size)
    return len(data) == size and _sum(data[:-4]) == data[-4:]


def _sum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
