"""MP4: a box ``uuid`` with XMP at the end, so that no offset in the file changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import Mark, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MOST = 10_000  # boxes: an hour in fragments of a second has twice 3600
_MOST_BYTES = 1 << 20


class _Box(NamedTuple):
    name: bytes
    at: int
    size: int  # in all
    head: int
    open: bool  # it ends where the file ends

    @property
    def end(self) -> int:
        return self.at + self.size


def _boxes(view: View) -> Iterator[_Box]:
    at = 0
    for _ in range(_MOST):
        header = view.at(at, 16)
        if len(header) < 8:
            return
        size, head = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(header[8:16], "big"), 16
        box = _Box(header[4:8], at, size or view.size - at, head, size == 0)
        if box.size < head:
            return
        yield box
        at = box.end


def read(view: View) -> Tags:
    tags = Tags()
    for box in _boxes(view):
        if box.name == b"uuid":
            kind = view.at(box.at + box.head, 16)
            if kind == _XMP:
                tags.texts = texts_of_packet(_packet(view, box)) | tags.texts
            tags.c2pa |= kind == _C2PA
    return tags


def _packet(view: View, box: _Box) -> bytes:
    return view.at(box.at + box.head + 16, min(box.size - box.head - 16, _MOST_BYTES))


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(_boxes(view))
    if not found or found[-1].end != view.size:
        raise Broken("an MP4 file that is cut, or has too many parts")
    last = found[-1]
    old = next((b for b in found if b.name == b"uuid" and view.at(b.at + b.head, 16) == _XMP), None)
    packet = mark.packet(b"" if old is None else _packet(view, old))
    put = (24 + len(packet)).to_bytes(4, "big") + b"uuid" + _XMP + packet
    edits = []
    if old is not None and old is last:
        return [Edit(old.at, old.size, put)]
    if old is not None:
        edits.append(Edit(old.at + 4, 4, b"free"))
    if last.open:
        if last.size >= 1 << 32:
            raise Broken("an MP4 file whose last part ends with the file")
        edits.append(Edit(last.at, 4, last.size.to_bytes(4, "big")))
    # The index of fragments is found from the file's end.
    return [*edits, Edit(last.at if last.name == b"mfra" else view.size, 0, put)]
