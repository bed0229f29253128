"""A plain mark into bytes or into a file."""

from __future__ import annotations

import os
from pathlib import Path

from lollms_marks.formats import read, write
from lollms_marks.mark import Mark
from lollms_marks.view import View, edit_file, edited, viewed


def put(media: bytes | str | os.PathLike[str], mark: Mark) -> bytes | None:
    """Put a mark into media: bytes, which come back with it, or a file, which is changed.

    Samples and pixels stay as they are, and so does what others have written in the file's tags. The file is changed in
    place: whoever reads it meanwhile may see half of it.

    Raises:
        Broken: a format that has no place for a mark, or a file that is damaged there.
        OSError: the file cannot be read or written.
    """
    if isinstance(media, bytes | bytearray | memoryview):
        data = media if isinstance(media, bytes) else bytes(media)  # of results a copy would be made
        return edited(data, write(View(data), mark))
    path = Path(os.path.expanduser(media))
    edit_file(path, viewed(path, lambda view: write(view, mark)))
    return None


def marks_in(media: bytes | Path) -> tuple[dict[str, str], bool]:
    """The texts of marks that media bear, and whether they bear content credentials; nothing of what is damaged."""
    try:
        tags = read(View(media)) if isinstance(media, bytes) else viewed(media, read)
    except (ValueError, OSError):
        return {}, False
    return tags.texts, tags.c2pa
