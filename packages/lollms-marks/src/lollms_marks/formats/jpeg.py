"""JPEG: a segment APP1 with XMP, behind those of JFIF and Exif. Others write labels in Exif or a comment, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import AIGC, Mark, label_in, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF = b"Exif\0"
_MOST = 10_000  # segments
_LONGEST = 65533  # bytes of one


class _Segment(NamedTuple):
    kind: int
    at: int
    size: int  # without the marker

    @property
    def end(self) -> int:
        return self.at + 2 + self.size


def _segments(view: View) -> Iterator[_Segment]:
    """Those before the picture."""
    at = 2
    for _ in range(_MOST):
        marker = view.at(at, 4)
        if len(marker) < 4 or marker[0] != 0xFF:
            return
        if marker[1] == 0xFF:  # a byte that fills up
            at += 1
            continue
        segment = _Segment(marker[1], at, int.from_bytes(marker[2:], "big"))
        yield segment
        if segment.kind == 0xDA or segment.size < 2:
            return
        at = segment.end


def read(view: View) -> Tags:
    tags = Tags()
    for segment in _segments(view):
        head = view.at(segment.at + 4, 40)
        if segment.kind == 0xE1 and head.startswith(_XMP):
            tags.texts = texts_of_packet(_packet(view, segment)) | tags.texts
        elif segment.kind in (0xE1, 0xFE) and (label := label_in(view.at(segment.at + 4, segment.size - 2))):
            tags.texts.setdefault(AIGC, label)
        elif segment.kind == 0xEB and head.startswith(b"JP") and b"jumb" in head:
            tags.c2pa = True
    return tags


def _packet(view: View, segment: _Segment) -> bytes:
    return view.at(segment.at + 4 + len(_XMP), segment.size - 2 - len(_XMP))


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(_segments(view))
    if not found or found[-1].kind != 0xDA:
        raise Broken("a JPEG file that is cut")
    old = next((s for s in found if s.kind == 0xE1 and view.at(s.at + 4, len(_XMP)) == _XMP), None)
    data = _XMP + mark.packet(b"" if old is None else _packet(view, old))
    if len(data) + 2 > _LONGEST:
        raise Broken("a JPEG file whose XMP leaves no room")
    put = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
    if old is not None:
        return [Edit(old.at, old.end - old.at, put)]
    at = 2
    for segment in found:
        if segment.kind == 0xE0 or (segment.kind == 0xE1 and view.at(segment.at + 4, len(_EXIF)) == _EXIF):
            at = segment.end
        else:
            break
    return [Edit(at, 0, put)]
