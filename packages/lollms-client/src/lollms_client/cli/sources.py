"""What a command is given to work on: words, files, folders of recordings, standard input."""

from __future__ import annotations

import codecs
import os
import re
import shlex
import stat
import sys
from pathlib import Path

from lollms_modalities.errors import MediaError
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.video import Video

from lollms_client.cli import standard
from lollms_client.cli.errors import UsageError

STDIN = "-"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# What a folder is searched for: sound, and films with sound.
_SUFFIXES = {
    *(suffix for kind in (Audio, Video) for known in kind.formats.values() for suffix in known.suffixes),
    ".aac", ".ac3", ".aif", ".aiff", ".amr", ".avi", ".caf", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mpeg",
    ".mpg", ".mpga", ".ts", ".wma", ".wmv",
} - {".gif"}  # fmt: skip


def read_text(words: list[str] | None, file: str | None, what: str) -> str:
    """The words of the command line, the text of a file, or what is piped in.

    Args:
        words: those of the command line; ``["-"]`` and none at all mean standard input.
        file: what ``-i`` names; ``-`` is standard input.
        what: "text" or "prompt", for errors.

    Raises:
        UsageError: none of them, several, or no text.
        StandardStreamError: standard input cannot be read.
    """
    if words and file is not None:
        raise UsageError(f"The {what} is given twice: as words, and with -i.", hint="Leave one out.")
    if words and words != [STDIN]:
        return " ".join(words)
    if file is not None and file != STDIN:
        return _decoded(_of_file(file, what), f"The {what} in {file!r}")
    if standard.closed("input") or (not words and file is None and sys.stdin.isatty()):
        raise UsageError(f"There is no {what}.", hint="Give it as words, in a file with -i, or pipe it in; - waits.")
    return _decoded(read_bytes(), f"The {what} that was piped in")


def read_bytes() -> bytes:
    """All of standard input."""
    try:
        return sys.stdin.buffer.read()
    except OSError as exc:
        raise standard.StandardStreamError(
            f"Standard input cannot be read: {exc.strerror}.", hint="Name a file, or pipe it in."
        ) from exc


def recordings(names: list[str] | None) -> list[str]:
    """The recordings that are meant: files, those in folders, or ``-`` for standard input.

    Raises:
        UsageError: there is none.
        MediaError: a folder that cannot be read or holds none.
    """
    if not names and (standard.closed("input") or sys.stdin.isatty()):
        raise UsageError("There is no recording.", hint="Name files or folders, or pipe one in.")
    given = names or [STDIN]
    if given.count(STDIN) > 1:
        raise UsageError("Standard input is named twice, and can be read once.", hint="Leave one - out.")
    if STDIN in given and standard.closed("input"):
        raise UsageError("Standard input is closed.", hint="Name files, or pipe one in.")
    return [found for name in given for found in (_in_folder(name) if _is_folder(name) else [name])]


def content_of(name: str) -> str | bytes:
    """What a verb is given for a recording: its path, or the bytes where it is a pipe.

    Raises:
        StandardStreamError, MediaError: it cannot be read.
    """
    if name == STDIN:
        if standard.closed("input"):
            raise UsageError("Standard input is closed.", hint="Name a file, or pipe one in.")
        return read_bytes()
    try:
        through = stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        if _ADDRESS.match(name):
            hint = f"Fetch it and pipe it in: curl -sSL {shlex.quote(name)} | lollms ... -"
            raise MediaError(f"{name!r} is an address; files are read here.", hint=hint) from None
        return name  # which the verb tells of
    if not through:
        return name
    try:  # such as <(COMMAND) of a shell, and /dev/stdin
        return Path(name).read_bytes()
    except OSError as exc:
        raise MediaError(f"{name!r} cannot be read: {exc.strerror}.", hint="Give a file.") from exc


def _of_file(name: str, what: str) -> bytes:
    try:
        return Path(os.path.expanduser(name)).read_bytes()
    except (OSError, ValueError) as exc:  # NUL
        said = getattr(exc, "strerror", None) or exc
        raise UsageError(f"The {what} cannot be read from {name!r}: {said}.", hint="Name a file of text.") from exc


def _decoded(data: bytes, what: str) -> str:
    # As editors and shells of Windows begin what they write.
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf_16 else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"{what} is no {'UTF-16' if utf_16 else 'UTF-8'} text: {exc.reason} at byte {exc.start}.",
            hint="Convert it, for instance with iconv -t UTF-8.",
        ) from exc


def _is_folder(name: str) -> bool:
    try:
        return name != STDIN and os.path.isdir(name)
    except ValueError:  # NUL
        return False


def _in_folder(folder: str) -> list[str]:
    """The recordings in a folder and below it, in the order of their names; hidden ones are left out."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_cannot_be_read):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        own = sorted(f for f in files if not f.startswith(".") and Path(f).suffix.lower() in _SUFFIXES)
        found += [os.path.join(place, name) for name in own]
    if not found:
        raise MediaError(f"The folder {folder!r} holds no recording.", hint="Name files, or another folder.")
    return found


def _cannot_be_read(exc: OSError) -> None:
    raise MediaError(f"The folder {str(exc.filename)!r} cannot be read: {exc.strerror}.", hint="Name another.") from exc
