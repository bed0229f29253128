"""MP3 and AAC: frames TXXX in a tag of ID3v2, in front (https://id3.org/id3v2.4.0-structure)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import NAMES, OWN, Mark, texts_of_packet
from lollms_marks.view import Broken, Edit, View

_MOST_TAGS, _MOST_FRAMES = 16, 1000
_MOST_BYTES = 1 << 20  # of a frame that is looked into
_PADDING = 64  # zeros behind the frames: some readers take the last frame's size for wrong where nothing follows
_FOOTER, _UNSYNCHRONISED, _EXTENDED = 0x10, 0x80, 0x40
_XMP = b"XMP\0"  # owner of a frame PRIV
_CODECS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


class _Tag(NamedTuple):
    at: int
    version: int
    flags: int
    size: int  # without header and footer

    @property
    def end(self) -> int:
        return self.at + 10 + self.size + (10 if self.flags & _FOOTER else 0)

    @property
    def plain(self) -> bool:
        return self.version in (3, 4) and not self.flags & (_UNSYNCHRONISED | _EXTENDED | _FOOTER)


class _Frame(NamedTuple):
    name: bytes
    at: int
    size: int


def _tags(view: View) -> Iterator[_Tag]:
    at = 0
    for _ in range(_MOST_TAGS):
        head = view.at(at, 10)
        if len(head) < 10 or not head.startswith(b"ID3"):
            return
        tag = _Tag(at, head[3], head[5], _number(head[6:10], 7))
        yield tag
        at = tag.end


def _number(data: bytes, bits: int) -> int:
    value = 0
    for byte in data:
        value = value << bits | byte & ((1 << bits) - 1)
    return value


def end_of_tags(view: View) -> int:
    """Where what follows the tags in front begins; 0 where there are none."""
    end = 0
    for tag in _tags(view):
        end = tag.end
    return end


def _frames(view: View, tag: _Tag) -> Iterator[_Frame]:
    at, end = tag.at + 10, tag.at + 10 + tag.size
    if tag.flags & _EXTENDED:
        size = view.number(at, 4) + 4 if tag.version == 3 else _number(view.whole(at, 4), 7)
        at += size
    for _ in range(_MOST_FRAMES):
        head = view.at(at, 10)
        if at + 10 > end or len(head) < 10 or not head[0]:
            return
        frame = _Frame(head[:4], at + 10, _number(head[4:8], 7 if tag.version == 4 else 8))
        if frame.at + frame.size > end:
            raise Broken("a frame of ID3 that goes beyond its tag")
        yield frame
        at = frame.at + frame.size


def read(view: View) -> Tags:
    tags = Tags()
    for tag in _tags(view):
        if tag.version not in (3, 4):
            continue
        for frame in _frames(view, tag):
            if frame.name == b"TXXX":
                name, text = _text(_synchronised(view, tag, frame))
                if name.upper() in NAMES:
                    tags.texts.setdefault(name.upper(), text)
            elif frame.name == b"GEOB":
                tags.c2pa |= b"c2pa" in view.at(frame.at, 64)
            elif frame.name == b"PRIV" and (data := view.at(frame.at, min(frame.size, _MOST_BYTES))).startswith(_XMP):
                tags.texts = texts_of_packet(data) | tags.texts
    return tags


def _synchronised(view: View, tag: _Tag, frame: _Frame) -> bytes:
    data = view.at(frame.at, min(frame.size, _MOST_BYTES))
    return data.replace(b"\xff\x00", b"\xff") if tag.flags & _UNSYNCHRONISED else data


def _text(data: bytes) -> tuple[str, str]:
    codec = _CODECS[data[0]] if data and data[0] < 4 else "latin-1"
    try:
        name, _, text = data[1:].decode(codec, "replace").partition("\0")
    except UnicodeError:
        return "", ""
    return name, text.lstrip("\ufeff").rstrip("\0")


def _packed(mark: Mark, version: int) -> bytes:
    frames = []
    for name, text in mark.texts().items():
        if version == 4:
            data = b"\x03" + f"{name}\0{text}".encode()
        elif text.isascii():
            data = b"\x00" + f"{name}\0{text}".encode()
        else:
            data = b"\x01" + f"{name}\0".encode("utf-16") + text.encode("utf-16")
        size = _syncsafe(len(data)) if version == 4 else len(data).to_bytes(4, "big")
        frames.append(b"TXXX" + size + b"\0\0" + data)
    return b"".join(frames)


def _syncsafe(size: int) -> bytes:
    if size >= 1 << 28:
        raise Broken("a tag of ID3 that leaves no room")
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(_tags(view))
    tag = next((tag for tag in found if tag.plain), None)
    if tag is None:
        frames = _packed(mark, 4) + bytes(_PADDING)
        # Behind one that is written in a way that nobody writes any more; programs read both.
        return [Edit(found[-1].end if found else 0, 0, b"ID3\x04\0\0" + _syncsafe(len(frames)) + frames)]
    at = tag.at + 10
    earlier: dict[str, _Frame] = {}
    for frame in _frames(view, tag):
        at = frame.at + frame.size
        if frame.name == b"TXXX" and (name := _text(view.at(frame.at, min(frame.size, _MOST_BYTES)))[0]) in NAMES:
            earlier.setdefault(name, frame)
    taken = [Edit(each.at - 10, each.size + 10, b"") for each in earlier.values()] if OWN in earlier else []
    put = _packed(mark, tag.version)
    room = tag.at + 10 + tag.size - at  # zeros
    if not taken and len(put) <= room:
        return [Edit(at, len(put), put)]
    size = tag.size + len(put) - sum(each.removed for each in taken)
    return [Edit(tag.at + 6, 4, _syncsafe(size)), *taken, Edit(at, 0, put)]
