"""Multipart bodies that are read while they are sent (RFC 7578)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lollms_modalities.media.input import MediaInput, check_media, open_media


class Upload(NamedTuple):
    """A file of a multipart body.

    Attributes:
        media: what it holds.
        filename: what the server is told; servers look at its suffix.
        content_type: its MIME type.
    """

    media: MediaInput
    filename: str
    content_type: str = "application/octet-stream"


class Multipart:
    """A body of fields and files that a request reads bit by bit; each try of a request needs a new one.

    A field with several values is sent once for each.

    Attributes:
        content_type: of the body, with its boundary.
        size: bytes of the whole.
    """

    def __init__(
        self, fields: Mapping[str, str | Sequence[str]], files: Mapping[str, Upload | Sequence[Upload]]
    ) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[bytes | Path] = []
        for name, told in fields.items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
            for value in [told] if isinstance(told, str) else told:
                self._parts.append(head.encode() + value.encode() + b"\r\n")
        for name, given in files.items():
            for upload in [given] if isinstance(given, Upload) else given:
                head = (
                    f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; '
                    f'filename="{_quoted(upload.filename)}"\r\nContent-Type: {upload.content_type}\r\n\r\n'
                )
                self._parts += [head.encode(), check_media(upload.media), b"\r\n"]
        self._parts.append(f"--{boundary}--\r\n".encode())
        self.size = sum(p.stat().st_size if isinstance(p, Path) else len(p) for p in self._parts)
        self._left = iter(self._parts)
        self._open: BinaryIO | None = None

    def __len__(self) -> int:
        return self.size

    def read(self, size: int = -1) -> bytes:
        """The next bytes; all that are left where ``size`` is negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while True:
            if self._open is None:
                part = next(self._left, None)
                if part is None:
                    return b""
                self._open = open_media(part)
            data = self._open.read(size)
            if data:
                return data
            self._open.close()
            self._open = None

    def close(self) -> None:
        """Let go of the file that is being read."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(1 << 16), b"")


def _quoted(text: str) -> str:
    # As browsers do it, so that a name cannot end its header.
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def image_upload(media: MediaInput, name: str) -> Upload:
    """An image under the name and type that are true; what services do not read becomes PNG.

    Raises:
        MediaError: it is no image.
    """
    from lollms_modalities.media.formats import IMAGE_FORMATS, sniff
    from lollms_modalities.media.image import Image
    from lollms_modalities.media.input import read_media

    data = read_media(media)
    kind = sniff(data)
    if kind not in IMAGE_FORMATS:
        data, kind = bytes(Image(data).convert("png")), "png"
    return Upload(data, f"{name}{IMAGE_FORMATS[kind].suffixes[0]}", IMAGE_FORMATS[kind].mime_type)
