"""WebM: an element ``Tags`` before the first cluster; positions that are told elsewhere move along (RFC 9559)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lollms_marks.formats.tags import Tags
from lollms_marks.mark import NAMES, OWN, Mark
from lollms_marks.view import Broken, Edit, View

_SEGMENT, _CLUSTER, _SEEK_HEAD, _SEEK, _SEEK_POSITION = 0x18538067, 0x1F43B675, 0x114D9B74, 0x4DBB, 0x53AC
_CUES, _CUE_POINT, _CUE_POSITIONS, _CUE_CLUSTER = 0x1C53BB6B, 0xBB, 0xB7, 0xF1
_TAGS, _TAG, _TARGETS, _SIMPLE, _NAME, _STRING = 0x1254C367, 0x7373, 0x63C0, 0x67C8, 0x45A3, 0x4487
_CRC, _VOID = 0xBF, 0xEC
_MOST = 20_000  # elements
_MOST_BYTES = 1 << 20  # of a text, and of an element that is looked into


class _Element(NamedTuple):
    id: int
    at: int
    data: int  # where what it holds begins
    size: int  # of that
    open: bool  # its size is not known

    @property
    def end(self) -> int:
        return self.data + self.size


def _element(view: View, at: int, limit: int) -> _Element | None:
    head = view.at(at, 12)
    if not head:
        return None
    length = 9 - head[0].bit_length()
    if length > 4 or len(head) <= length:
        return None
    kind, rest = int.from_bytes(head[:length], "big"), head[length:]
    count = 9 - rest[0].bit_length()
    if count > 8 or len(rest) < count:
        return None
    size = int.from_bytes(rest[:count], "big") & ((1 << 7 * count) - 1)
    unknown = size == (1 << 7 * count) - 1
    data = at + length + count
    return _Element(kind, at, data, max(0, limit - data) if unknown else size, unknown)


def _elements(view: View, begin: int, end: int) -> Iterator[_Element]:
    at = begin
    for _ in range(_MOST):
        element = _element(view, at, end) if at < end else None
        if element is None:
            return
        yield element
        at = element.end


def _segment(view: View) -> _Element:
    found = next((e for e in _elements(view, 0, view.size) if e.id == _SEGMENT), None)
    if found is None:
        raise Broken("a WebM file without a segment")
    return found


def read(view: View) -> Tags:
    tags = Tags()
    segment = _segment(view)
    for element in _elements(view, segment.data, min(segment.end, view.size)):
        if element.id == _TAGS:
            for name, text in _said(view, element):
                if name in NAMES:
                    tags.texts.setdefault(name, text)
        elif element.id == _CLUSTER and element.open:
            break
    return tags


def _said(view: View, element: _Element) -> Iterator[tuple[str, str]]:
    """Names and texts of an element ``Tags``."""
    for tag in _elements(view, element.data, element.end):
        for simple in _elements(view, tag.data, tag.end) if tag.id == _TAG else ():
            if simple.id == _SIMPLE:
                inside = _elements(view, simple.data, simple.end)
                parts = {e.id: view.at(e.data, min(e.size, _MOST_BYTES)) for e in inside if e.id in (_NAME, _STRING)}
                yield _text(parts.get(_NAME, b"")).upper(), _text(parts.get(_STRING, b""))


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _is_own(view: View, element: _Element) -> bool:
    """Whether an element holds nothing but an earlier mark."""
    whole = element.id == _TAGS and element.end <= view.size
    names = [name for name, _ in _said(view, element)] if whole else []
    return OWN in names and all(name in NAMES for name in names)


def write(view: View, mark: Mark) -> list[Edit]:
    segment = _segment(view)
    inside = list(_elements(view, segment.data, min(segment.end, view.size)))
    # Of a stream that has just begun there may be no cluster yet: then what comes next is one.
    begun = segment.open and inside and inside[-1].end == view.size
    first = next((element.at for element in inside if element.id == _CLUSTER), view.size if begun else None)
    if first is None:
        raise Broken("a WebM file without a picture")
    put = _tags_element(mark)
    edits = [Edit(first, 0, put)]
    if not segment.open:
        width = segment.data - segment.at - 4
        size = segment.size + len(put)
        if size >= (1 << 7 * width) - 1:
            raise Broken("a WebM file that has no room in its header")
        edits.append(Edit(segment.at + 4, width, (size | 1 << 7 * width).to_bytes(width, "big")))
    from_here = first - segment.data
    for element in inside:
        if _is_own(view, element):
            room = element.end - element.at
            edits.append(Edit(element.at, room, _packed(_VOID, bytes(room - 9))))
        elif element.id == _SEEK_HEAD:
            edits += _moved(view, element, (_SEEK, _SEEK_POSITION), from_here, len(put))
        elif element.id == _CUES:
            edits += _moved(view, element, (_CUE_POINT, _CUE_POSITIONS, _CUE_CLUSTER), from_here, len(put))
    return edits


def _moved(view: View, element: _Element, path: tuple[int, ...], from_here: int, by: int) -> Iterator[Edit]:
    """The changes of the positions below an element that are from there on, and of its checksum, which is given up."""
    for child in _elements(view, element.data, element.end):
        if child.id == _CRC and child.size == 4:
            yield Edit(child.at, 1, bytes([_VOID]))
        elif child.id == path[0] and len(path) > 1:
            yield from _moved(view, child, path[1:], from_here, by)
        elif child.id == path[0] and child.size <= 8:
            at = view.number(child.data, child.size)
            if at >= from_here:
                if at + by >= 1 << 8 * child.size:
                    raise Broken("a WebM file whose index has no room")
                yield Edit(child.data, child.size, (at + by).to_bytes(child.size, "big"))


def _packed(kind: int, data: bytes) -> bytes:
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (len(data) | 1 << 56).to_bytes(8, "big") + data


def _tags_element(mark: Mark) -> bytes:
    simple = b"".join(
        _packed(_SIMPLE, _packed(_NAME, name.encode()) + _packed(_STRING, text.encode()))
        for name, text in mark.texts().items()
    )
    return _packed(_TAGS, _packed(_TAG, _packed(_TARGETS, b"") + simple))
