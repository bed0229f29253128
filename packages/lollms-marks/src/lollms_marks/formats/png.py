"""PNG: a chunk iTXt with the keyword of XMP, before the pixels. Others write labels in chunks alone, or in Exif."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import AIGC, NAMES, Mark, label_in, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_KEYWORD = b"XML:com.adobe.xmp"
_MOST_CHUNKS = 10_000
_MOST_TEXTS = 8  # that are looked into: a small file may hold many that unpack to much
_MOST_BYTES = 1 << 20
_TEXTS = (b"iTXt", b"tEXt", b"zTXt")
_WANTED = {_KEYWORD, *(name.encode() for name in NAMES)}


class _Chunk(NamedTuple):
    name: bytes
    at: int
    size: int

    @property
    def end(self) -> int:
        return self.at + 12 + self.size


def _chunks(view: View) -> Iterator[_Chunk]:
    at = 8
    for _ in range(_MOST_CHUNKS):
        header = view.at(at, 8)
        if len(header) < 8:
            return
        chunk = _Chunk(header[4:], at, int.from_bytes(header[:4], "big"))
        yield chunk
        if chunk.name == b"IEND":
            return
        at = chunk.end


def read(view: View) -> Tags:
    tags = Tags()
    looked = 0
    for chunk in _chunks(view):
        if chunk.name in _TEXTS and looked < _MOST_TEXTS and (keyword := _keyword(view, chunk)) in _WANTED:
            looked += 1
            text = _text(view, chunk)
            if keyword != _KEYWORD:
                tags.texts.setdefault(keyword.decode(), text.decode("utf-8", "replace"))
                continue
            tags.texts = texts_of_packet(text) | tags.texts
            data = view.at(chunk.at + 4, min(chunk.size, _MOST_BYTES) + 8)
            if chunk.size <= _MOST_BYTES and zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
                tags.damage = "the checksum of its XMP is wrong"
        elif chunk.name == b"eXIf" and (label := label_in(view.at(chunk.at + 8, min(chunk.size, _MOST_BYTES)))):
            tags.texts.setdefault(AIGC, label)
        elif chunk.name == b"caBX":
            tags.c2pa = True
    return tags


def _keyword(view: View, chunk: _Chunk) -> bytes:
    return view.at(chunk.at + 8, min(chunk.size, 80)).partition(b"\0")[0]


def _text(view: View, chunk: _Chunk) -> bytes:
    """The text of a chunk that has one, unpacked."""
    rest = view.at(chunk.at + 8, min(chunk.size, _MOST_BYTES)).partition(b"\0")[2]
    packed = chunk.name == b"zTXt"
    if chunk.name == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    if packed:
        try:
            return zlib.decompressobj().decompress(rest, _MOST_BYTES)
        except zlib.error:
            return b""
    return rest


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(_chunks(view))
    if not found or found[0].name != b"IHDR" or found[-1].name != b"IEND":
        raise Broken("a PNG file that is cut")
    old = next((c for c in found if c.name == b"iTXt" and _keyword(view, c) == _KEYWORD), None)
    packet = mark.packet(b"" if old is None else _text(view, old))
    data = b"iTXt" + _KEYWORD + bytes(5) + packet
    put = (len(data) - 4).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
    if old is not None:
        return [Edit(old.at, old.end - old.at, put)]
    return [Edit(found[0].end, 0, put)]
