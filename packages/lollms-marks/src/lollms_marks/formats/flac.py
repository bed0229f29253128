"""FLAC: the block of comments (RFC 9639), behind tags of ID3 where others have put them in front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats import id3
from lollms_marks.formats.comments import fresh, read_comments, with_mark
from lollms_marks.formats.tags import Tags
from lollms_marks.mark import Mark
from lollms_marks.view import Broken, Edit, View

_COMMENTS = 4
_MOST = 1000  # blocks


class _Block(NamedTuple):
    kind: int
    at: int
    size: int
    last: bool


def _blocks(view: View) -> Iterator[_Block]:
    at = id3.end_of_tags(view) + 4
    for _ in range(_MOST):
        header = view.whole(at, 4)
        block = _Block(header[0] & 0x7F, at, int.from_bytes(header[1:], "big"), bool(header[0] & 0x80))
        yield block
        if block.last:
            return
        at += 4 + block.size
    raise Broken("a FLAC file with too many blocks")


def read(view: View) -> Tags:
    tags = id3.read(view)
    for block in _blocks(view):
        if block.kind == _COMMENTS:
            tags.texts |= read_comments(view.whole(block.at + 4, block.size))
    return tags


def write(view: View, mark: Mark) -> list[Edit]:
    blocks = list(_blocks(view))
    old = next((block for block in blocks if block.kind == _COMMENTS), None)
    if old is not None:
        return [Edit(old.at, 4 + old.size, _packed(with_mark(view.whole(old.at + 4, old.size), mark), old.last))]
    first = blocks[0]
    put = Edit(first.at + 4 + first.size, 0, _packed(fresh(mark), first.last))
    return [Edit(first.at, 1, bytes([first.kind])), put] if first.last else [put]


def _packed(data: bytes, last: bool) -> bytes:
    if len(data) >= 1 << 24:
        raise Broken("a FLAC file whose comments leave no room")
    return bytes([_COMMENTS | (0x80 if last else 0)]) + len(data).to_bytes(3, "big") + data
