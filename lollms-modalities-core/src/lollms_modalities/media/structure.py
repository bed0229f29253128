"""How files are put together, as far as FFmpeg does not tell: whether the end is missing, and chained Ogg."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from lollms_modalities.errors import MediaError
from lollms_modalities.media.wav import Part, read_wav

_OGG_PAGE = 65307  # the largest
_BOXES = 10_000  # of MP4; a live recording has many


def refuse_cut(file: BinaryIO, shown: str) -> None:
    """A ``MediaError`` where the file by its own structure goes on after its end; FFmpeg reads that as if all was well.

    Raises:
        MediaError: its end is missing.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(64)
    said = ""
    if (wav := read_wav(file)) is not None and wav.missing:
        said = f"its header says {wav.said} bytes of sound, {wav.size} are there"
    elif head.startswith(b"OggS") and not _last_page_is_whole(file, length):
        said = "its last page is not whole"
    elif head.startswith(b"\x1a\x45\xdf\xa3"):
        end = _end_of_segment(head)
        said = f"its header says {end} bytes, {length} are there" if end > length else ""
    elif head[4:8] == b"ftyp":
        end = _end_of_boxes(file, length)
        said = f"it says {end} bytes, {length} are there" if end > length else ""
    elif head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        end = int.from_bytes(head[4:8], "little") + 8
        said = f"its header says {end} bytes, {length} are there" if end > length + 8 else ""
    elif (end := _end_of_mp3(file, head)) > length + max(4096, end // 100):
        said = f"its first frame says {end} bytes, {length} are there"
    if said:
        raise MediaError(f"{shown} is cut short: {said}.", hint="Fetch or record it again.")


def _end_of_mp3(file: BinaryIO, head: bytes) -> int:
    """Where an MP3 file ends by the tag in its first frame, as encoders write it; 0 where there is none."""
    start = 0
    if head.startswith(b"ID3"):
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(200)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if frame[:1] != b"\xff" or at < 0 or len(frame) < at + 16:
        return 0
    has = frame[at + 7]  # 1: number of frames, 2: number of bytes
    return start + int.from_bytes(frame[at + 12 : at + 16], "big") if has & 3 == 3 else 0


class Link(NamedTuple):
    """A stream of an Ogg file in which one may begin after another, or all of any other file.

    Attributes:
        file: it alone.
        lost_pages: how many of its pages are damaged or missing.
        lost: about how long these are, as Ogg counts: mostly in samples.
    """

    file: BinaryIO
    lost_pages: int = 0
    lost: float = 0.0


def links(file: BinaryIO) -> list[Link]:
    """The streams of a file that stand one after the other.

    FFmpeg stops where the second has another rate or other channels, and passes over damaged pages without a word.
    """
    file.seek(0)
    if file.read(4) != b"OggS":
        return [Link(file)]
    length = file.seek(0, io.SEEK_END)
    pages = list(_pages(file, length))
    starts = [0]
    for n, page in enumerate(pages):
        # https://www.rfc-editor.org/rfc/rfc3533#section-6: 2 is "beginning of stream"
        if n and page.kind & 2 and page.whole and not pages[n - 1].kind & 2:
            starts.append(n)
    if len(starts) == 1:
        return [Link(file, *_lost(pages))]
    ends = [pages[n].at for n in starts[1:]] + [length]
    found = []
    for n, (first, end) in enumerate(zip(starts, ends, strict=True)):
        part = Part(file, pages[first].at, end - pages[first].at)
        its = pages[first : starts[n + 1] if n + 1 < len(starts) else None]
        found.append(Link(part, *_lost(its)))  # type: ignore[arg-type]
    return found


class _Page(NamedTuple):
    at: int
    kind: int
    granule: int  # what has been said at its end
    stream: int
    number: int
    whole: bool


def _pages(file: BinaryIO, length: int) -> Iterator[_Page]:
    """The pages of an Ogg file; what is no page is passed over."""
    at = 0
    while at + 27 <= length:
        file.seek(at)
        header = file.read(27)
        if header[:5] != b"OggS\0":
            file.seek(at + 1)
            near = file.read(_OGG_PAGE).find(b"OggS\0")
            at += 1 + (near if near >= 0 else _OGG_PAGE - 4)
            continue
        kind, granule, stream, number, said, segments = struct.unpack("<5xBqIIIB", header)
        sizes = file.read(segments)
        data = header[:22] + bytes(4) + header[26:] + sizes + file.read(sum(sizes))
        whole = _checksum(data) == said
        yield _Page(at, kind, granule, stream, number, whole)
        # The sizes of a damaged page may lead anywhere.
        at += len(data) if whole else 27


_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


def _checksum(data: bytes) -> int:
    """Ogg's, which is zlib's with the bits of each byte the other way round, and not inverted at both ends."""
    found = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


def _lost(pages: Sequence[_Page]) -> tuple[int, float]:
    """How many pages are damaged or missing, and about how long they are."""
    last: dict[int, _Page] = {}
    broken: dict[int, _Page] = {}
    count, lost = 0, 0.0
    for page in pages:
        if not page.whole:
            broken[page.stream] = page
            continue
        before = last.get(page.stream)
        if before is not None and page.number > before.number + 1 and page.granule >= 0:
            missing = page.number - before.number - 1
            count += missing
            lost += max(0, page.granule - max(0, before.granule)) * missing / (missing + 1)
        last[page.stream] = page
    for stream, page in broken.items():
        before = last.get(stream)
        if before is not None and before.number < page.number < before.number + 1000:
            count += 1
            lost += min(max(0, page.granule - max(0, before.granule)), 1 << 30)
    return count, lost


def _last_page_is_whole(file: BinaryIO, length: int) -> bool:
    file.seek(max(0, length - 2 * _OGG_PAGE))
    tail = file.read()
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return True
    segments = tail[page + 26 : page + 27]
    sizes = tail[page + 27 : page + 27 + segments[0]] if segments else b""
    return bool(segments) and len(sizes) == segments[0] and page + 27 + len(sizes) + sum(sizes) <= len(tail)


def _end_of_segment(head: bytes) -> int:
    """Where the first segment of a Matroska file ends; 0 where that is not told."""
    size, at = _number(head, 4)
    at += size
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    size, after = _number(head, at + 4)
    return after + size if size else 0


def _number(head: bytes, at: int) -> tuple[int, int]:
    """A number of Matroska and where it ends; 0 for the one that stands for "not known"."""
    first = head[at] if at < len(head) else 0
    count = 9 - first.bit_length()
    bits = 7 * count
    value = int.from_bytes(head[at : at + count], "big") & ((1 << bits) - 1)
    return (0 if count > 8 or value == (1 << bits) - 1 else value), at + count


def _end_of_boxes(file: BinaryIO, length: int) -> int:
    """Where the boxes of an MP4 file end; of one that was written in fragments, where the last whole one does."""
    at = end = 0
    fragments = False
    for _ in range(_BOXES):
        file.seek(at)
        header = file.read(16)
        size, name = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        fragments |= name == b"moof"
        if size < 8 or at >= length:
            break
        if at + size > length and (fragments or name not in (b"moov", b"mdat")):
            break
        at = end = at + size
    return end
