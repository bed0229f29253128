"""Where results go: files that were named, standard output, or names of ours, which are numbered and reserved."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities.contract.encoded import check_can_encode
from lollms_modalities.errors import OptionError
from lollms_modalities.media.audio import Audio
from lollms_modalities.media.files import check_folder, expanded, explained
from lollms_modalities.media.formats import check_format, check_output_path

from lollms_client.cli import standard
from lollms_client.cli.errors import UsageError

STDOUT = "-"
_STDOUT = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def names_stdout(output: str | None) -> bool:
    """Whether what ``-o`` says is standard output, by whichever of its names."""
    return output in _STDOUT


class Given(NamedTuple):
    """What the command line says of where results go.

    Attributes:
        output: what ``-o`` says, as often as it was said.
        folder: what ``-d`` says.
        format: what ``--format`` says.
    """

    output: list[str] | None = None
    folder: str | None = None
    format: str | None = None

    def checked(self) -> tuple[str | None, Path | None]:
        """What ``-o`` names, which is no folder, and the folder for names of ours, made where it is not there.

        Raises:
            UsageError: several that cannot all be meant.
            OptionError: a folder that cannot be made or written to.
        """
        if len(self.output or ()) > 1:
            raise UsageError("-o is given twice.", hint="Name one file or folder.")
        named = self.output[0] if self.output else None
        named = STDOUT if names_stdout(named) else named
        if named is not None and self.folder is not None:
            raise UsageError("-o and -d both say where it goes.", hint="Leave one out.")
        if named == "":
            raise UsageError("-o names nothing.", hint="Name a file, a folder, or - for standard output.")
        folder = self.folder if named is None else named if _means_folder(named) else None
        if folder is not None:
            return None, _made_folder(folder)
        if named == STDOUT and standard.closed("output"):
            raise standard.StandardStreamError("Standard output is closed.", hint="Name a file with -o.")
        return named, None


class Target(NamedTuple):
    """Where one result is to go.

    Attributes:
        path: the file; None for standard output.
        format: that was asked for, or None for what the suffix or the modality says.
        chosen: whether the name is ours.
    """

    path: Path | None
    format: str | None = None
    chosen: bool = False

    def arguments(self) -> dict[str, Any]:
        """What the verb is given of it."""
        found = {"output_path": self.path, "output_format": self.format}
        return {name: value for name, value in found.items() if value is not None}


@contextmanager
def target_of(given: Given, kind: Any, stem: str) -> Iterator[Target]:
    """Where a result goes, checked before any work is done; a name of ours is reserved, and free again if none comes.

    Args:
        kind: ``Audio``, ``Image`` or ``Video``.
        stem: of the file's name where none is given.

    Raises:
        UsageError: binary data for a terminal; a format twice.
        OptionError: an unknown suffix or format, or a place that cannot be written to.
    """
    named, folder = given.checked()
    if given.format is None:
        wanted = None
    elif named == STDOUT and kind is Audio:
        wanted = check_can_encode(given.format).name
    else:
        wanted = check_format(given.format, kind)
    if named == STDOUT:
        if sys.stdout.isatty():
            raise UsageError("The result is no text for a terminal.", hint="Name a file with -o, or pipe it on.")
        yield Target(None, wanted)
    elif named is not None:
        if wanted is not None:
            raise UsageError("-o FILE and --format both say the format.", hint="The suffix of FILE is enough.")
        check_output_path(named, kind)
        yield Target(expanded(Path(named)))
    else:
        first = next(iter(kind.formats.values())) if wanted is None else kind.formats[wanted]
        with reserved(folder, stem, first.suffixes[0]) as path:
            yield Target(path, chosen=True)


@contextmanager
def reserved(folder: Path | None, stem: str, suffix: str) -> Iterator[Path]:
    """``speech.wav``, or ``speech-2.wav`` where that is taken, and so on: an empty file, so that nobody else takes it.

    It is taken away again where it was not written.

    Raises:
        OptionError, SaveError: none can be made there.
    """
    with reserved_all(folder, stem, [suffix]) as (path,):
        yield path


@contextmanager
def reserved_all(folder: Path | None, stem: str, suffixes: Sequence[str]) -> Iterator[list[Path]]:
    """As ``reserved``, for several files of one stem: ``talk-2.srt`` and ``talk-2.txt``."""
    claimed: list[tuple[Path, tuple[int, int]]] = []
    try:
        n = 0
        while len(claimed) < len(suffixes):
            _drop(claimed)
            n += 1
            for suffix in suffixes:
                path = (folder or Path()) / f"{stem}{'' if n == 1 else f'-{n}'}{suffix}"
                if not _claim(path):
                    break
                claimed.append((path, _identity(path)))
        yield [path for path, _ in claimed]
    finally:
        _drop(claimed)


def _claim(path: Path) -> bool:
    """Make it, empty; False where it is there already."""
    if path.is_dir():
        return False
    check_folder(path)
    with explained(path):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666))
        except FileExistsError:
            return False
    return True


def _drop(claimed: list[tuple[Path, tuple[int, int]]]) -> None:
    """Take away those that are still ours and empty."""
    while claimed:
        path, mine = claimed.pop()
        with suppress(OSError):
            if _identity(path) == mine and path.stat().st_size == 0:
                path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _means_folder(named: str) -> bool:
    if named == STDOUT or "\0" in named:
        return False
    separators = (os.sep, os.altsep or os.sep)
    return named.endswith(separators) or os.path.isdir(os.path.expanduser(named))


def _made_folder(named: str) -> Path:
    """The folder, made with those above it. Raises ``OptionError``."""
    if "\0" in named:
        raise OptionError(f"{named!r} holds a NUL character and is no path.")
    folder = expanded(Path(named))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OptionError(f"The folder {named!r} cannot be made: {exc.strerror}.", hint="Choose another.") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OptionError(f"The folder {named!r} may not be written to.", hint="Choose another.")
    return folder
