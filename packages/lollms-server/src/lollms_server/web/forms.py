"""Forms (``multipart/form-data``), parsed as they come: fields in memory, files on disk, caps on all of it."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from lollms_server.web.bodies import Body, too_large
from lollms_server.web.errors import Refused
from lollms_server.web.settings import Limits
from lollms_server.web.uploads import Upload

_HEADER_BYTES = 4096  # of one part's headers
_FIELDS_BYTES = 16_000_000  # of all fields together
_NAME = 100  # characters of a field's name


class Form:
    """What a form holds.

    Attributes:
        fields: each field's texts, in their order; ``x[]`` is ``x``.
        files: each field's files.
    """

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.files: dict[str, list[Upload]] = {}

    def file(self, name: str) -> Upload:
        """The one file of that name.

        Raises:
            Refused: there is none, several, or an empty one.
        """
        found = self.files.get(name, [])
        if len(found) != 1:
            has = "a text" if name in self.fields else f"{len(found)} files" if found else "nothing"
            raise Refused(
                f"The form holds {has} under {name!r}, where one file belongs.", code="missing_file", param=name,
                hint="A path or an address of a file is never opened: send the file itself.",
            )  # fmt: skip
        if not found[0].size:
            raise Refused(f"The file {name!r} is empty (0 bytes).", code="invalid_media", param=name)
        return found[0]

    def remove(self) -> None:
        """Remove the files."""
        for uploads in self.files.values():
            for upload in uploads:
                upload.remove()


class _Reader:
    """What the push parser calls."""

    def __init__(self, form: Form, folder: Path, limits: Limits, files: tuple[str, ...]) -> None:
        self._form, self._folder, self._limits, self._files = form, folder, limits, files
        self._parts = self._held = self._uploaded = 0
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._name = ""
        self._text: bytearray | None = None
        self._upload: Upload | None = None
        self.ended = False

    def callbacks(self) -> Any:
        return {
            f"on_{name}": getattr(self, name)
            for name in ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end",
                         "headers_finished", "end")
        }  # fmt: skip

    def part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._limits.parts:
            raise Refused(f"The form has more than {self._limits.parts} parts.", status=413, code="too_large")
        self._headers = {}

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def headers_finished(self) -> None:
        name, filename = _disposition(self._headers.get("content-disposition", ""))
        if not name or len(name) > _NAME:
            raise Refused(f"A part of the form has the name {name!r:.100}.", code="invalid_form")
        self._name = name.removesuffix("[]")
        if filename is None:
            self._text = bytearray()
            return
        if self._name not in self._files and "*" not in self._files:
            raise Refused(
                f"The form holds a file under {name!r:.100}.", code="unknown_file", param=self._name,
                hint=f"Files are taken as: {', '.join(self._files)}.",
            )  # fmt: skip
        self._upload = Upload(self._folder, filename)
        self._form.files.setdefault(self._name, []).append(self._upload)

    def part_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        if self._upload is not None:
            self._uploaded += size
            if self._uploaded > self._limits.upload_bytes:
                raise too_large("upload", self._limits.upload_bytes)
            self._upload.write(memoryview(data)[start:end])
            return
        assert self._text is not None
        self._held += size
        references = self._name == "known_speaker_references"
        at_most = self._limits.reference_bytes if references else self._limits.field_bytes
        if len(self._text) + size > at_most or self._held > _FIELDS_BYTES:
            raise too_large(f"field {self._name!r}", min(at_most, _FIELDS_BYTES))
        self._text += data[start:end]

    def part_end(self) -> None:
        if self._upload is not None:
            self._upload.finish()
            self._upload = None
        elif self._text is not None:
            try:
                text = self._text.decode()
            except UnicodeDecodeError:
                raise Refused(f"The field {self._name!r} is no UTF-8.", code="invalid_form", param=self._name) from None
            self._form.fields.setdefault(self._name, []).append(text)
            self._text = None

    def end(self) -> None:
        self.ended = True


async def read_form(
    body: Body, form: Form, content_type: str, folder: Path, limits: Limits, files: tuple[str, ...]
) -> None:
    """Read a form into ``form``, whose files the caller removes, also where this raises.

    Args:
        files: names under which files are taken; "*" is any.

    Raises:
        Refused: it is no such form, or more of anything than is allowed.
    """
    boundary = _parameter(content_type, "boundary")
    if not boundary:
        raise Refused("The form's content type names no boundary.", code="invalid_form")
    reader = _Reader(form, folder, limits, files)
    most = limits.upload_bytes + _FIELDS_BYTES + limits.parts * (_HEADER_BYTES + 200)
    try:
        parser = MultipartParser(boundary, reader.callbacks(), max_header_count=8, max_header_size=_HEADER_BYTES)
        async for part in body.parts(most, "form"):
            parser.write(part)
        parser.finalize()
    except FormParserError as exc:
        raise Refused(f"The form is no proper one: {exc}.", code="invalid_form") from None
    if not reader.ended:
        raise Refused("The form has no end: its last boundary is missing.", code="invalid_form")


def _disposition(value: str) -> tuple[str, str | None]:
    message = Message()
    message["content-disposition"] = value
    name = message.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        return "", None
    return name, message.get_filename()


def _parameter(value: str, name: str) -> str:
    message = Message()
    message["content-type"] = value
    found = message.get_param(name)
    return found if isinstance(found, str) else ""
