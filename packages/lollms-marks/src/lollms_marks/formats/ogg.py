"""Ogg with Vorbis, Opus or FLAC in it: the packet of comments, in as many pages as before (RFC 3533).

With another number of pages every later page would need another number and checksum.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from lollms_marks.formats.comments import read_comments, with_mark
from lollms_marks.formats.tags import Tags
from lollms_marks.mark import Mark
from lollms_marks.view import Broken, Edit, View

_MOST_PAGES = 300  # of headers; a page has up to 65 kB, and a cover of 16 MB is the largest that is stepped over
_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


class _Page(NamedTuple):
    at: int
    flags: int
    serial: int
    number: int
    sizes: bytes
    body: bytes
    whole: bool

    @property
    def end(self) -> int:
        return self.at + 27 + len(self.sizes) + len(self.body)


def _page(view: View, at: int) -> _Page:
    header = view.whole(at, 27)
    if header[:5] != b"OggS\0":
        raise Broken("no page of Ogg where one should begin")
    flags, _, serial, number, said, segments = struct.unpack("<5xBqIIIB", header)
    sizes = view.whole(at + 27, segments)
    body = view.whole(at + 27 + segments, sum(sizes))
    whole = checksum(header[:22] + bytes(4) + header[26:] + sizes + body) == said
    return _Page(at, flags, serial, number, sizes, body, whole)


def checksum(data: bytes) -> int:
    """Ogg's, which is zlib's with the bits of each byte the other way round, and not inverted at both ends."""
    found = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


class _Headers(NamedTuple):
    pages: list[_Page]  # behind the first
    packets: list[bytes]
    prefix: bytes  # of the packet of comments


def _headers(view: View) -> _Headers:
    first = _page(view, 0)
    if first.body.startswith(b"\x01vorbis"):
        count, prefix = 2, b"\x03vorbis"
    elif first.body.startswith(b"OpusHead"):
        count, prefix = 1, b"OpusTags"
    elif first.body.startswith(b"\x7fFLAC"):
        count, prefix = max(1, int.from_bytes(first.body[7:9], "big")), b""
    else:
        raise Broken("an Ogg file of which the sound is not known")
    pages: list[_Page] = []
    packets: list[bytes] = []
    packet: list[bytes] = []
    at = first.end
    while len(packets) < count:
        page = _page(view, at)
        if page.serial != first.serial or len(pages) == _MOST_PAGES:
            raise Broken("an Ogg file whose headers are not in one row")
        pages.append(page)
        begin = 0
        for size in page.sizes:
            packet.append(page.body[begin : begin + size])
            begin += size
            if size < 255:
                packets.append(b"".join(packet))
                packet = []
        at = page.end
    if len(packets) != count or packet:
        raise Broken("an Ogg file whose sound begins in the middle of a page")
    if prefix and not packets[0].startswith(prefix):
        raise Broken("an Ogg file without comments")
    if not prefix:
        prefix = packets[0][:4]
        if prefix[:1] and prefix[0] & 0x7F != 4:
            raise Broken("an Ogg file without comments")
    return _Headers(pages, packets, prefix)


def read(view: View) -> Tags:
    headers = _headers(view)
    tags = Tags(read_comments(headers.packets[0][len(headers.prefix) :]))
    if not all(page.whole for page in headers.pages):
        tags.damage = "the checksum of its comments is wrong"
    return tags


def write(view: View, mark: Mark) -> list[Edit]:
    headers = _headers(view)
    prefix = headers.prefix
    comments = with_mark(headers.packets[0][len(prefix) :], mark)
    if not prefix.endswith((b"vorbis", b"OpusTags")):  # FLAC's own header of a block
        prefix = prefix[:1] + len(comments).to_bytes(3, "big")
    packets = [prefix + comments, *headers.packets[1:]]
    segments: list[tuple[int, bytes]] = []
    for packet in packets:
        parts = [packet[n : n + 255] for n in range(0, len(packet), 255)]
        if len(packet) % 255 == 0:
            parts.append(b"")
        segments += [(len(part), part) for part in parts]
    pages = headers.pages
    if not len(pages) <= len(segments) <= 255 * len(pages):
        raise Broken("an Ogg file whose headers leave no room")
    put, begun = [], False
    for n, page in enumerate(pages):
        mine = segments[len(segments) * n // len(pages) : len(segments) * (n + 1) // len(pages)]
        sizes, body = bytes(size for size, _ in mine), b"".join(part for _, part in mine)
        ends = any(size < 255 for size in sizes)
        flags = page.flags & ~1 | (1 if begun else 0)
        begun = sizes[-1] == 255
        head = struct.pack("<5sBqIIIB", b"OggS\0", flags, 0 if ends else -1, page.serial, page.number, 0, len(sizes))
        data = head + sizes + body
        put.append(data[:22] + struct.pack("<I", checksum(data)) + data[26:])
    return [Edit(pages[0].at, pages[-1].end - pages[0].at, b"".join(put))]
