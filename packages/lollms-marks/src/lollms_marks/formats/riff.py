"""WAV: chunks before the sound, so that a stream has them too. LIST/INFO for programs of old, ``_PMX`` holds XMP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import AIGC, OWN, Mark, texts_of_packet
from lollms_marks.view import Broken, Edit, View

MOST_CHUNKS = 1000
MOST_BYTES = 1 << 20  # of one chunk that is looked into
_UNKNOWN = 0xFFFFFFF0  # from here on a size says that it is not known
_COPIED = 1 << 23  # a file with more sound is not copied for a mark, which then stands behind the sound


class Chunk(NamedTuple):
    """A chunk: its name, where it begins, and how many bytes follow its header."""

    name: bytes
    at: int
    size: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.at + 8 + self.size + (self.size & 1)


def chunks(view: View, at: int = 12) -> Iterator[Chunk]:
    """The chunks of a RIFF file, as far as they are there."""
    for _ in range(MOST_CHUNKS):
        header = view.at(at, 8)
        if len(header) < 8:
            return
        name, size = struct.unpack("<4sI", header)
        if name == b"data" and size >= _UNKNOWN and view.at(0, 4) != b"RIFF":
            size = view.number(28, 8, "little") if view.at(12, 4) == b"ds64" else size
        chunk = Chunk(name, at, size)
        yield chunk
        if name == b"data" and size >= _UNKNOWN and view.at(0, 4) == b"RIFF":
            return
        at = chunk.end


def packed(name: bytes, data: bytes) -> bytes:
    """A chunk."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def read(view: View) -> Tags:
    tags = Tags()
    for chunk in chunks(view):
        if chunk.name == b"_PMX":
            if chunk.at + 8 + chunk.size > view.size:
                tags.damage = "its XMP is cut"
            tags.texts = texts_of_packet(view.at(chunk.at + 8, min(chunk.size, MOST_BYTES))) | tags.texts
        elif chunk.name == b"LIST" and view.at(chunk.at + 8, 4) == b"INFO":
            tags.texts |= _info(view, chunk) | tags.texts
        elif chunk.name == b"C2PA":
            tags.c2pa = True
    return tags


def _entries(view: View, chunk: Chunk) -> Iterator[tuple[bytes, bytes]]:
    """Names and texts of a list INFO."""
    data = view.at(chunk.at + 12, min(chunk.size - 4, MOST_BYTES))
    at = 0
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(data):
            return
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _info(view: View, chunk: Chunk) -> dict[str, str]:
    found = (text for name, text in _entries(view, chunk) if name == b"AIGC")
    text = next(found, None)
    return {} if text is None else {AIGC: text.rstrip(b"\0").decode("utf-8", "replace")}


def _is_own(view: View, chunk: Chunk) -> bool:
    """Whether a list holds nothing but what ``write`` puts there."""
    if chunk.name != b"LIST" or view.at(chunk.at + 8, 8) != b"INFOAIGC":
        return False
    return all(name == b"AIGC" or (name == b"ICMT" and text[:4] == b"AI: ") for name, text in _entries(view, chunk))


def write(view: View, mark: Mark) -> list[Edit]:
    found = list(chunks(view))
    names = [chunk.name for chunk in found]
    if b"data" not in names:
        raise Broken("a WAV file without sound")
    sound = found[names.index(b"data")]
    before = next((chunk for chunk in found if chunk.name == b"_PMX"), None)
    old = b"" if before is None else view.at(before.at + 8, min(before.size, MOST_BYTES))
    own = [chunk for chunk in found if _is_own(view, chunk)] if OWN in texts_of_packet(old) else []
    comments = any(chunk.name == b"LIST" and chunk not in own for chunk in found)
    info = packed(b"AIGC", mark.texts()[AIGC].encode() + b"\0")
    if not comments:
        info += packed(b"ICMT", f"AI: {mark.source_type}\0".encode())
    put = packed(b"LIST", b"INFO" + info) + packed(b"_PMX", mark.packet(old))
    last = found[-1]
    behind = view.is_file and sound.size > _COPIED and last.end == view.size
    at = view.size if behind else sound.at
    retired = [Edit(chunk.at, 4, b"JUNK") for chunk in (*own, *(() if before is None else (before,)))]
    return [Edit(at, 0, put), *retired, *_sizes(view, len(put))]


def _sizes(view: View, more: int) -> list[Edit]:
    """The sizes in the header, where they say one."""
    if view.at(0, 4) != b"RIFF" and view.at(12, 4) == b"ds64":
        return [Edit(20, 8, struct.pack("<Q", view.number(20, 8, "little") + more))]
    size = view.number(4, 4, "little")
    if size == 0 or size >= _UNKNOWN:
        return []
    if size + more >= _UNKNOWN:
        raise Broken("a WAV file that has no room in its header")
    return [Edit(4, 4, struct.pack("<I", size + more))]
