"""WebP: a chunk ``XMP``, announced in the extended header (RFC 9649), which simple files are given."""

from __future__ import annotations

import struct

from lollms_marks.formats.riff import MOST_BYTES, chunks, packed
from lollms_marks.formats.tags import Tags
from lollms_marks.mark import AIGC, Mark, label_in, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_HAS_XMP, _HAS_ALPHA = 0x04, 0x10


def read(view: View) -> Tags:
    tags = Tags()
    for chunk in chunks(view):
        if chunk.name == b"XMP ":
            tags.texts = texts_of_packet(view.at(chunk.at + 8, min(chunk.size, MOST_BYTES))) | tags.texts
        elif chunk.name == b"EXIF" and (label := label_in(view.at(chunk.at + 8, min(chunk.size, MOST_BYTES)))):
            tags.texts.setdefault(AIGC, label)
        elif chunk.name == b"C2PA":
            tags.c2pa = True
    return tags


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(chunks(view))
    if not found or found[-1].end != view.size:
        raise Broken("a WebP file that is cut, or goes on behind its end")
    first = found[0]
    old = next((chunk for chunk in found if chunk.name == b"XMP "), None)
    put = packed(b"XMP ", mark.packet(b"" if old is None else view.at(old.at + 8, min(old.size, MOST_BYTES))))
    edits = [Edit(view.size, 0, put)]
    more = len(put)
    if old is not None:
        edits.append(Edit(old.at, old.end - old.at, b""))
        more -= old.end - old.at
    if first.name == b"VP8X":
        edits.append(Edit(first.at + 8, 1, bytes([view.number(first.at + 8, 1) | _HAS_XMP])))
    else:
        width, height, alpha = _size(view, first.name, first.at + 8)
        flags = _HAS_XMP | (_HAS_ALPHA if alpha else 0)
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        head = packed(b"VP8X", bytes([flags, 0, 0, 0]) + sides)
        edits.append(Edit(first.at, 0, head))
        more += len(head)
    size = view.number(4, 4, "little") + more
    if size >= 1 << 32:
        raise Broken("a WebP file whose size is not what it says")
    return [*edits, Edit(4, 4, struct.pack("<I", size))]


def _size(view: View, name: bytes, at: int) -> tuple[int, int, bool]:
    """Width, height, and whether there may be transparency."""
    data = view.whole(at, 10)
    if name == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 6)
        return max(1, width & 0x3FFF), max(1, height & 0x3FFF), False
    if name == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise Broken("a WebP file whose size is not told")
