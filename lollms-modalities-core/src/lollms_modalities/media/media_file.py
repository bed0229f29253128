"""What sound, images and video share: bytes of a file, its format, and where it lies."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Self

from lollms_modalities.errors import BindingDependencyError, MediaError
from lollms_modalities.media.encoded import WrittenFile, encodes, place_for, told
from lollms_modalities.media.files import WholeFile, expanded, explained
from lollms_modalities.media.formats import format_of, sniff
from lollms_modalities.media.input import open_media as open_media
from lollms_modalities.media.input import read_media as read_media
from lollms_modalities.media.result import Result, check_folder, write_whole

if TYPE_CHECKING:
    from lollms_modalities.media.formats import Format

_COPIED = 1 << 20  # bytes at a time
_LARGE = 1 << 23  # bytes, of which copies take longer than all else that a plug-in does with them


class MediaFile(Result, bytes):
    """What sound, images and video share: bytes of a file, its format, and where it lies if it was written.

    Attributes:
        path: the file that holds the media, or None. Where a call was given ``output_path``, the file holds the media
            and the object itself is empty, so that a large result is not in memory.
    """

    formats: ClassVar[Mapping[str, Format]] = {}
    _noun: ClassVar[str] = "Media"
    path: Path | None = None
    _format: str | None = None

    def __new__(cls, data: bytes | bytearray | memoryview = b"", *, path: Path | None = None) -> Self:
        self = super().__new__(cls, data)
        if path is not None:
            self.path = path.absolute()  # the current folder may change
        return self

    def __bool__(self) -> bool:
        return len(self) > 0 or self.path is not None

    @property
    def format(self) -> str:
        """The file format, such as "wav", by what the bytes are; "" where they are not known."""
        if self._format is None:
            self._format = self._sniffed()
        return self._format

    @property
    def mime_type(self) -> str:
        """Such as "audio/wav"."""
        known = self.formats.get(self.format)
        return known.mime_type if known else "application/octet-stream"

    def __eq__(self, other: object) -> bool:
        """As bytes; one without bytes, whose file holds the media, equals those of the same file only."""
        if self._held_by is None and getattr(other, "_held_by", None) is None:
            return bytes.__eq__(self, other)
        return isinstance(other, MediaFile) and self._held_by == other._held_by

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return bytes.__hash__(self) if self._held_by is None else hash(self._held_by)

    @property
    def _held_by(self) -> Path | None:
        """The file, where it holds the media in the place of the object."""
        return None if len(self) else self.path

    def save(self, path: str | Path) -> Path:
        """Write the file, converted to the format of its suffix; whole or not at all. Gives the path.

        Raises:
            OptionError: an unknown suffix, or a path that cannot be written to.
            SaveError: writing failed.
            PluginRefused: a plug-in does not let it pass.
        """
        target = check_folder(expanded(Path(path)))
        self._saved(target)
        return target

    def _saved(self, target: Path) -> Self:
        """Write it; what was written."""
        wanted = format_of(target, type(self))
        return self._save_as_it_is(target) if wanted == self.format else self._save_converted(target, wanted)

    def _save_as_it_is(self, target: Path) -> Self:
        if not len(self):
            with open_media(self) as file:
                return self._save_file(target, file)
        if len(self) > _LARGE and encodes():  # a plug-in then changes some of the file, and copies no bytes
            return self._save_file(target, self)
        made = told(self, target=target)
        write_whole(target, made)
        return made

    def _save_file(self, target: Path, content: bytes | BinaryIO) -> Self:
        """Write these bytes, or what is left of a file, which are this in its own format."""
        if not encodes():
            write_whole(target, content)
            return self
        whole = WholeFile(place_for(target))
        written = WrittenFile(whole, target)
        try:
            with explained(target):
                if isinstance(content, bytes):
                    whole.file.write(content)
                else:
                    shutil.copyfileobj(content, whole.file, _COPIED)
                whole.file.flush()
            made: Self = written.told(self._held_in(whole.part))
            written.keep()
        finally:
            written.drop()
        return made

    def _held_in(self, part: Path) -> Self:
        """An object without the bytes, which are in that file."""
        held = type(self)()
        held.__dict__.update(self.__dict__)
        held.path = part
        return held

    def _save_converted(self, target: Path, wanted: str) -> Self:
        made = told(self._converted(wanted), source=self, target=target)
        write_whole(target, made)
        return made

    def _converted(self, wanted: str) -> Self:
        raise NotImplementedError

    def convert(self, output_format: str) -> Self:
        """The same in another format."""
        raise NotImplementedError

    def moved_to(self, path: Path) -> Self:
        """The media in a file of its own, and an object without the bytes that knows the file."""
        target = check_folder(Path(path))
        made = self._saved(target)
        moved = type(self)()
        if format_of(target, type(self)) == self.format:
            moved.__dict__.update(self.__dict__)
        moved = self._told_to(moved)
        moved._provenance = made._provenance
        moved.path = target.absolute()
        return moved

    def _told_to(self, other: Self) -> Self:
        """Another object of the same media is told what is not in their bytes."""
        other._provenance = self._provenance
        return other

    def __repr__(self) -> str:
        if not self:
            return f"<{self._noun} empty>"
        try:
            told = self._told()
        except (MediaError, BindingDependencyError, OSError):
            return f"<{self._noun} of unknown format, {self._size()}{self._where()}>"
        return f"<{self._noun} {self.format} {told}, {self._size()}{self._where()}>"

    def _told(self) -> str:
        """What one sees of it beside format and size, in a few words."""
        raise MediaError(f"Of {type(self).__name__} nothing is known.")

    def __str__(self) -> str:
        return repr(self)

    def _head(self) -> bytes:
        if len(self) or self.path is None:
            return bytes(self[:64])
        with self.path.open("rb") as file:
            return file.read(64)

    def _sniffed(self) -> str:
        if len(self) or self.path is None:
            return sniff(self)
        with self.path.open("rb") as file:
            return sniff(file)

    def _size(self) -> str:
        try:
            count = len(self) if len(self) or self.path is None else self.path.stat().st_size
        except OSError:
            return "not there"
        return (
            f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
        )

    def _where(self) -> str:
        return f" in {str(self.path)!r}" if self.path is not None else ""

    def _data_url(self) -> str:
        return f"data:{self.mime_type};base64,{b64encode(read_media(self)).decode()}"
