"""Media as an input: a path, bytes, one of our results, or a binary file, wherever a path is documented."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeAlias, cast

from lollms_modalities.errors import AudioFileNotFoundError, LollmsError, MediaError
from lollms_modalities.media.view import View

# "data:" and a medium's type, or a scheme: a file may be called "data:x.wav".
_ADDRESS = re.compile(r"data:[^,]*[,;]|[a-z][a-z0-9+.-]{0,9}://", re.IGNORECASE)
_AT_ONCE = 1 << 16  # bytes of a result that are read at a time


class MediaInputSchema:
    """Tells pydantic how a ``MediaInput`` field is checked, and marks it in the JSON schema (``format: lollms-media``).

    A server finds the mark and refuses paths there.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: Any) -> Path | bytes:
            try:
                return self.check(value)
            except LollmsError as exc:
                raise PydanticCustomError("media", "{said}", {"said": str(exc).rstrip(".")}) from exc

        return core_schema.no_info_plain_validator_function(
            check, serialization=core_schema.plain_serializer_function_ser_schema(_described, when_used="json")
        )

    def check(self, value: Any) -> Path | bytes:
        """The value, if it is such media."""
        return check_media(value, role="media")

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "lollms-media"}


def _described(value: Path | bytes) -> str:
    return str(value) if isinstance(value, Path) else f"<{len(value)} bytes>"


MediaInput: TypeAlias = Annotated[str | os.PathLike[str] | bytes | BinaryIO, MediaInputSchema()]


def check_media(media: object, *, role: str = "media") -> Path | bytes:
    """The media as the path of a file that is there, or as bytes; one of our results stays what it is.

    Args:
        media: a path, bytes, one of our results, or a binary file (which is read to its end).
        role: what it is in the eyes of the caller, such as "audio".

    Raises:
        AudioFileNotFoundError: there is no such file (``MediaError`` where ``role`` is not "audio").
        MediaError: an empty file or none at all.
    """
    if isinstance(media, (str, os.PathLike)) and not isinstance(media, bytes):
        return _file(os.fspath(media), role)
    if isinstance(media, (bytes, bytearray, memoryview)):
        path = getattr(media, "path", None)
        if not len(media) and isinstance(path, Path):
            return _file(str(path), role)
        if not len(media):
            raise MediaError(f"The {role} is empty (0 bytes).", hint="Give the bytes of a whole file.")
        return media if isinstance(media, bytes) else bytes(media)
    read = getattr(media, "read", None)
    if read is not None:
        data = read()
        if not isinstance(data, bytes):
            raise MediaError(f"The {role} is a file opened as text.", hint="Open it with mode 'rb'.")
        return check_media(data, role=role)
    raise MediaError(
        f"The {role} is {type(media).__name__}.", hint="Give a path, bytes, or a file opened with mode 'rb'."
    )


def _file(name: str | bytes, role: str) -> Path:
    text = os.fsdecode(name)
    shown = repr(text if len(text) <= 200 else text[:200] + "...")
    if "\0" in text or not text:
        raise MediaError(f"{shown} is no path.", hint="Give the path of a file.")
    try:
        path = _path(text)
        size = path.stat().st_size
        regular = path.is_file()
    except OSError as exc:
        if _ADDRESS.match(text):
            raise MediaError(
                f"{shown} is an address, not a path.", hint="Fetch it yourself and give the bytes."
            ) from None
        missing = AudioFileNotFoundError if role == "audio" else MediaError
        raise missing(f"There is no {role} file {shown} ({exc.strerror}).", hint="Check the path.", path=text) from None
    except (RuntimeError, UnicodeEncodeError) as exc:  # in a folder of an unknown ~user; a lone surrogate
        raise MediaError(f"{shown} is no path ({exc}).", hint="Give the path of a file.") from None
    if not regular:
        raise MediaError(f"{shown} is no regular file.", hint=f"Give the path of the {role} file itself.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"The {role} file {shown} may not be read.", hint="Ask its owner, or copy it.")
    if not size:
        raise MediaError(f"The {role} file {shown} is empty (0 bytes).", hint="Give a whole file.")
    return path


def _path(text: str) -> Path:
    """The path of that name. ``~rec.wav`` is a file's name before it is the home of a user who is called rec.wav."""
    path = Path(text)
    if text[:1] != "~" or (text[1:2] not in ("", "/", os.sep) and path.exists()):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        if len(path.parts) > 1:
            raise
        return path


def media_path(media: MediaInput) -> Path | None:
    """The path of the media where it is a file, else None."""
    checked = check_media(media)
    return checked if isinstance(checked, Path) else None


def open_media(media: MediaInput) -> BinaryIO:
    """The media as a binary file that can seek; the caller closes it."""
    checked = check_media(media)
    if isinstance(checked, Path):
        return checked.open("rb")
    return cast(
        BinaryIO, io.BytesIO(checked) if type(checked) is bytes else io.BufferedReader(_Held(checked), _AT_ONCE)
    )


class _Held(View):
    """The bytes of a result as a file. ``BytesIO`` would copy them all, for a look at their header."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._view = memoryview(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise ValueError(f"negative seek value {offset}")  # as of any file in memory
        return super().seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def readall(self) -> bytes:
        rest = bytes(self._view[self._at :])
        self._at += len(rest)
        return rest


def read_media(media: MediaInput) -> bytes:
    """The media as bytes; bytes are not copied."""
    checked = check_media(media)
    return checked.read_bytes() if isinstance(checked, Path) else checked
