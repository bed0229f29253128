"""Comments as Vorbis, Opus and FLAC have them: a vendor and ``NAME=text`` (https://xiph.org/vorbis/doc/v-comment.html)."""

from __future__ import annotations

import struct

from lollms_marks.mark import NAMES, OWN, Mark
from lollms_marks.view import Broken

_MOST = 10_000
_LONGEST = 65536


def read_comments(data: bytes) -> dict[str, str]:
    """Those of the three names. Raises ``Broken``."""
    found: dict[str, str] = {}
    for text in _split(data)[1]:
        name, equals, value = text[: _LONGEST + 100].partition(b"=")
        key = name.decode("ascii", "replace").upper()
        if equals and key in NAMES:
            found.setdefault(key, value.decode("utf-8", "replace"))
    return found


def with_mark(data: bytes, mark: Mark) -> bytes:
    """The comments with those of a mark, in the place of an earlier one; what follows them stays. Raises ``Broken``."""
    vendor, texts, rest = _split(data)
    if OWN in map(_name, texts):
        texts = [text for text in texts if _name(text) not in NAMES]
    texts = [*texts, *(f"{name}={text}".encode() for name, text in mark.texts().items())]
    parts = [struct.pack("<I", len(vendor)), vendor, struct.pack("<I", len(texts))]
    for text in texts:
        parts += [struct.pack("<I", len(text)), text]
    return b"".join([*parts, rest])


def _name(text: bytes) -> str:
    return text[:100].partition(b"=")[0].decode("ascii", "replace").upper()


def fresh(mark: Mark) -> bytes:
    """Comments that hold nothing but a mark."""
    return with_mark(struct.pack("<I", 0) + struct.pack("<I", 0), mark)


def _split(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """The vendor, the comments, and what follows."""
    vendor, at = _text(data, 0)
    if at + 4 > len(data):
        raise Broken("comments that are cut")
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if count > _MOST:
        raise Broken(f"{count} comments")
    texts = []
    for _ in range(count):
        text, at = _text(data, at)
        texts.append(text)
    return vendor, texts, data[at:]


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    if at + 4 > len(data):
        raise Broken("comments that are cut")
    (size,) = struct.unpack_from("<I", data, at)
    if at + 4 + size > len(data):
        raise Broken("comments that are cut")
    return data[at + 4 : at + 4 + size], at + 4 + size
