"""MP4: a box ``uuid`` with XMP at the end, so that no offset in the file changes.

Others write labels among the film's own tags, too: keys and their values (QuickTime), or iTunes' own (``----``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats import other
from lollms_marks.formats.tags import Tags
from lollms_marks.mark import NAMES, Mark, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MOST = 10_000  # boxes: an hour in fragments of a second has twice 3600
_MOST_BYTES = 1 << 20
_IMAGES = (b"avif", b"avis", b"heic", b"heix", b"mif1")  # which keep their XMP as an item
_MOST_KEYS = 1000
_LONGEST_NAME = 1000


class _Box(NamedTuple):
    name: bytes
    at: int
    size: int  # in all
    head: int
    open: bool  # it ends where the file ends

    @property
    def end(self) -> int:
        return self.at + self.size


def _boxes(view: View, at: int = 0, limit: int | None = None) -> Iterator[_Box]:
    limit = view.size if limit is None else min(limit, view.size)
    for _ in range(_MOST):
        header = view.at(at, min(16, limit - at))
        if len(header) < 8:
            return
        size, head = int.from_bytes(header[:4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(header[8:16], "big"), 16
        box = _Box(header[4:8], at, size or limit - at, head, size == 0)
        if box.size < head:
            return
        yield box
        at = box.end


def read(view: View) -> Tags:
    tags = other.read(view) if view.at(8, 4) in _IMAGES else Tags()
    for box in _boxes(view):
        if box.name == b"uuid":
            kind = view.at(box.at + box.head, 16)
            if kind == _XMP:
                tags.texts = texts_of_packet(_packet(view, box)) | tags.texts
            tags.c2pa |= kind == _C2PA
        elif box.name == b"moov":
            _take(view, box, tags.texts)
    return tags


def _in(view: View, box: _Box | None, *path: bytes, skip: int = 0) -> _Box | None:
    """The first box of that name in another, and in that the next."""
    for name in path:
        if box is None:
            return None
        box = next((b for b in _boxes(view, box.at + box.head + skip, box.end) if b.name == name), None)
        skip = 0
    return box


def _take(view: View, film: _Box, texts: dict[str, str]) -> None:
    """What a film's own tags say of the three names."""
    xmp = _in(view, film, b"udta", b"XMP_")
    if xmp is not None:
        texts.update(texts_of_packet(view.at(xmp.at + xmp.head, min(xmp.size - xmp.head, _MOST_BYTES))) | texts)
    for meta in (_in(view, film, b"meta"), _in(view, film, b"udta", b"meta")):
        if meta is None:
            continue
        # QuickTime's has no version and flags in front.
        skip = 0 if view.at(meta.at + meta.head + 4, 4) == b"hdlr" else 4
        keys = _keys(view, _in(view, meta, b"keys", skip=skip))
        values = _in(view, meta, b"ilst", skip=skip)
        for item in () if values is None else _boxes(view, values.at + values.head, values.end):
            name = keys.get(int.from_bytes(item.name, "big"), "")
            if item.name == b"----":
                name = _string(view, _in(view, item, b"name"), 4, _LONGEST_NAME)
            if name in NAMES and name not in texts:
                texts[name] = _string(view, _in(view, item, b"data"), 8)


def _keys(view: View, box: _Box | None) -> dict[int, str]:
    """The names of values, by their numbers; of ``com.example.NAME`` the last part."""
    inside = () if box is None else _boxes(view, box.at + box.head + 8, box.end)
    names = (_string(view, key, 0, _LONGEST_NAME) for key, _ in zip(inside, range(_MOST_KEYS), strict=False))
    return {number: name.rpartition(".")[2].upper() for number, name in enumerate(names, 1)}


def _string(view: View, box: _Box | None, skip: int, most: int = _MOST_BYTES) -> str:
    """What a box holds, but for some bytes in front."""
    if box is None:
        return ""
    data = view.at(box.at + box.head + skip, min(box.size - box.head - skip, most))
    return data.rstrip(b"\0").decode("utf-8", "replace")


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
