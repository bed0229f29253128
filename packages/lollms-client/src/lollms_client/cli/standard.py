"""Standard input, output and error as they are found: closed, full, a terminal that is gone, an encoding of few signs.

Nothing that is to be read is lost for want of a letter: what standard output cannot encode is written as an escape.
What it cannot take is an error that names it. What standard error cannot take changes nothing.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

from lollms_modalities.errors import LollmsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

_NAMES = ("input", "output", "error")
_ESCAPES = "lollms_escapes"
_shut: set[str] = set()


class StandardStreamError(LollmsError, OSError):
    """Standard input or output is closed, or does not take what is written."""


def closed(name: str) -> bool:
    """Whether standard "input", "output" or "error" was closed when the program began."""
    return name in _shut


def mend() -> None:
    """Make the three streams fit to be used, once, before anything else is opened.

    A descriptor that is closed is opened on the null device: else the next file that is opened would have its number,
    and what an engine prints would go there.
    """
    codecs.register_error(_ESCAPES, _escaped)
    for number, (name, stream) in enumerate(zip(_NAMES, (sys.stdin, sys.stdout, sys.stderr), strict=True)):
        if stream is not None:
            continue
        _shut.add(name)
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:  # pragma: no cover - a lower one is free where the streams are
                os.dup2(null, number)
                os.close(null)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(os.devnull)), "utf-8")
    sys.stdout = _output(sys.stdout)
    sys.stderr = _error(sys.stderr)


def encodable(text: str) -> bool:
    """Whether standard output can hold the text as it is."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def flush() -> None:
    """Write what standard output still holds. Raises ``StandardStreamError``, ``BrokenPipeError``."""
    sys.stdout.flush()


def _output(stream: TextIO | None) -> TextIO:
    if stream is None:
        return _text(_Closed(), "utf-8", _ESCAPES, lines=False)
    # Who asked for a way to treat what cannot be encoded, such as PYTHONIOENCODING=ascii:replace, has it.
    errors = _ESCAPES if stream.errors in ("strict", "surrogateescape") else stream.errors or _ESCAPES
    number = _descriptor(stream)
    if number is None or not isinstance(stream, io.TextIOWrapper):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    raw = _Output(number, "w", closefd=False)
    return _text(raw, stream.encoding, errors, lines=stream.line_buffering)


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor that a stream writes to; None where it has none, such as one that a test captures."""
    if os.name != "posix" or not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        return stream.fileno()
    except OSError:
        return None


def _error(stream: TextIO | None) -> TextIO:
    number = 2 if stream is None else _descriptor(stream)
    if number is None or os.name != "posix":
        return stream or _text(io.FileIO(os.devnull, "w"), "utf-8", "backslashreplace", lines=True)
    encoding = "utf-8" if stream is None else stream.encoding
    return _text(_Error(number, "w", closefd=False), encoding, "backslashreplace", lines=True)


def _text(raw: io.RawIOBase, encoding: str, errors: str, *, lines: bool) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=lines)


class _Output(io.FileIO):
    """Standard output, whose failures name it. After the first it takes everything: it is told once."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._failed:
            return len(memoryview(data))
        try:
            return super().write(data)
        except BrokenPipeError:
            self._failed = True
            raise
        except OSError as exc:
            self._failed = True
            raise StandardStreamError(
                f"Standard output cannot be written: {exc.strerror}.", hint="Name a file with -o, or send it elsewhere."
            ) from exc


class _Closed(io.RawIOBase):
    """Standard output that is closed: whoever writes something is told, once."""

    _told = False

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._told:
            self._told = True
            raise StandardStreamError("Standard output is closed.", hint="Leave it open, or name a file with -o.")
        return len(memoryview(data))


class _Error(io.FileIO):
    """Standard error; that it is full, or its terminal gone, changes nothing."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def _escaped(exc: UnicodeError) -> tuple[str | bytes, int]:
    r"""A letter that cannot be encoded as ``\u65e5``; a byte of a file's name that is no UTF-8 as itself."""
    if not isinstance(exc, UnicodeEncodeError):
        raise exc
    found = bytearray()
    for letter in exc.object[exc.start : exc.end]:
        code = ord(letter)
        found += bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else letter.encode("ascii", "backslashreplace")
    return bytes(found), exc.end
