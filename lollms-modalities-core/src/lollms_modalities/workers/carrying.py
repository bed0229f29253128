"""Media on their way to a side that has other files: as bytes, whatever held them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lollms_modalities.media.input import read_media
from lollms_modalities.media.media_file import MediaFile


def without_files(value: Any) -> Any:
    """``value`` with bytes in the place of the files that hold our media: the other side has no such files.

    Looks into lists, tuples and dicts. A path stays what it is: here nobody knows whether it is media.
    """
    if isinstance(value, MediaFile):
        if value.path is None:
            return value
        made = type(value)(read_media(value))
        made.__dict__.update({k: v for k, v in value.__dict__.items() if k != "path"})
        return made
    if type(value) in (list, tuple):
        return type(value)(without_files(v) for v in value)
    if type(value) is dict:
        return {k: without_files(v) for k, v in value.items()}
    return value


def as_bytes(media: Path | bytes) -> bytes:
    """Media that have been checked, without a file."""
    found: bytes = media.read_bytes() if isinstance(media, Path) else without_files(media)
    return found
