"""The file formats of each kind of media, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lollms_modalities.errors import OptionError
from lollms_modalities.media.files import expanded
from lollms_modalities.media.result import check_folder, suffix_format


class Format(NamedTuple):
    """A file format."""

    name: str
    mime_type: str
    suffixes: tuple[str, ...]


def _table(*formats: Format) -> dict[str, Format]:
    return {f.name: f for f in formats}


AUDIO_FORMATS = _table(
    Format("wav", "audio/wav", (".wav", ".wave")),
    Format("flac", "audio/flac", (".flac",)),
    Format("ogg", "audio/ogg", (".ogg", ".oga")),
    Format("opus", "audio/ogg; codecs=opus", (".opus",)),
    Format("mp3", "audio/mpeg", (".mp3",)),
    Format("aac", "audio/aac", (".aac",)),
)


IMAGE_FORMATS = _table(
    Format("png", "image/png", (".png",)),
    Format("jpeg", "image/jpeg", (".jpg", ".jpeg")),
    Format("webp", "image/webp", (".webp",)),
)


VIDEO_FORMATS = _table(Format("mp4", "video/mp4", (".mp4", ".m4v")), Format("webm", "video/webm", (".webm",)))
ORIGINAL = "original"  # an output_format: as the engine or the service gave it
Kind = type | Mapping[str, Format]


def formats_of(kind: Kind) -> Mapping[str, Format]:
    """The formats of that kind of media, by name: of one of its classes, or the table itself."""
    formats: Mapping[str, Format] = kind if isinstance(kind, Mapping) else kind.formats  # type: ignore[attr-defined]
    return formats


def check_format(name: object, kind: Kind) -> str:
    """The format's name as it stands in the table of that kind of media.

    Raises:
        OptionError: it is unknown.
    """
    formats = formats_of(kind)
    wanted = {"jpg": "jpeg"}.get(name, name) if isinstance(name, str) else name
    if isinstance(wanted, str) and wanted.lower().lstrip(".") in formats:
        return wanted.lower().lstrip(".")
    raise OptionError(f"output_format={name!r} is not known.", hint=f"Known ones: {', '.join(formats)}.")


def format_of(path: Path, kind: Kind) -> str:
    """The format that a file name's suffix stands for; an ``OptionError`` where it stands for none."""
    return suffix_format(path, {suffix: f.name for f in formats_of(kind).values() for suffix in f.suffixes})


def check_output_path(path: object, kind: Kind) -> Path:
    """``path`` if media of that kind can be written there.

    Raises:
        OptionError: no path, an unknown suffix, or a folder that does not exist.
    """
    if not isinstance(path, (str, Path)):
        raise OptionError(f"output_path is {type(path).__name__}.", hint="Give a path as str or pathlib.Path.")
    target = check_folder(expanded(Path(path))).absolute()
    format_of(target, kind)
    return target


_ENOUGH = 64  # bytes
_MOST_TAGS = 16  # one after another
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"), (0, b"fLaC", "flac"), (28, b"OpusHead", "opus"), (0, b"OggS", "ogg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (8, b"WEBP", "webp"), (0, b"GIF8", "gif"),
    (4, b"ftyp", "mp4"), (0, b"\x1a\x45\xdf\xa3", "webm"),
)  # fmt: skip


def sniff(source: bytes | BinaryIO) -> str:
    """The format that media have by how they begin, or "".

    Tags of ID3 in front are stepped over, since not only MP3 has them: signed FLAC does, and AAC. The whole tag has
    to be there for that, as in whole media or a file that can seek; else it is taken for MP3.
    """
    at, head = 0, _read(source, 0)
    tagged = head.startswith(b"ID3")
    for _ in range(_MOST_TAGS):
        if not head.startswith(b"ID3") or len(head) < 10:
            break
        # https://id3.org/id3v2.4.0-structure: the length in four groups of seven bits; a footer's flag.
        at += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        at += 10 if head[5] & 0x10 else 0
        head = _read(source, at)
    return _sniffed(head) or ("mp3" if tagged else "")


def _read(source: bytes | BinaryIO, at: int) -> bytes:
    """Enough to tell a format by, from there."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[at : at + _ENOUGH])
    source.seek(at)
    return source.read(_ENOUGH)


def _sniffed(head: bytes) -> str:
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return name
    if len(head) > 1 and head[0] == 0xFF:  # the sync word of MPEG audio: of layer 3, and of an ADTS frame
        return "mp3" if head[1] & 0xE6 == 0xE2 else "aac" if head[1] & 0xF6 == 0xF0 else ""
    return ""
