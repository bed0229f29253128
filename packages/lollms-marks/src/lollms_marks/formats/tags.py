"""Which module reads and writes which format."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from lollms_marks.mark import Mark
from lollms_marks.view import Broken, Edit, View


@dataclass
class Tags:
    """What was found in a file.

    Attributes:
        texts: by the three names of ``mark``, from wherever the format keeps them.
        c2pa: whether content credentials are embedded.
        damage: what is broken of the places where marks are kept, in words; "" for nothing.
    """

    texts: dict[str, str] = field(default_factory=dict)
    c2pa: bool = False
    damage: str = ""


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"), (8, b"WEBP", "webp"), (0, b"fLaC", "flac"), (0, b"OggS", "ogg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (4, b"ftyp", "mp4"),
    (0, b"\x1a\x45\xdf\xa3", "webm"),
)  # fmt: skip
_MODULES = {
    "wav": "riff", "webp": "webp", "flac": "flac", "ogg": "ogg", "png": "png", "jpeg": "jpeg", "mp4": "mp4",
    "webm": "webm", "mp3": "id3", "aac": "id3", "other": "other",
}  # fmt: skip


def format_of(view: View) -> str:
    """The container by how it begins; "" for none that is known. Opus is "ogg"."""
    from lollms_marks.formats.id3 import end_of_tags

    at = end_of_tags(view)
    head = view.at(at, 16)
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"
    return "mp3" if at else ""


def read(view: View, name: str = "") -> Tags:
    """What is said in the file. Raises ``Broken``: it is damaged where that is kept."""
    tags: Tags = _module(name or format_of(view) or "other").read(view)
    return tags


def write(view: View, mark: Mark, name: str = "") -> list[Edit]:
    """The changes that put a mark into the file. Raises ``Broken``: it has no place for it."""
    edits: list[Edit] = _module(name or format_of(view)).write(view, mark)
    return edits


def _module(name: str) -> Any:
    if name not in _MODULES:
        raise Broken("a format that has no place for a mark")
    return import_module(f"lollms_marks.formats.{_MODULES[name]}")
