"""Where results go: a file whose suffix decides the format, standard output, or a name that is free."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities.errors import LollmsError, MediaError
from lollms_modalities.media.formats import check_format, check_output_path
from lollms_modalities.media.input import read_media

from lollms_client.cli.errors import UsageError

_FACTS = ("sample_rate", "channels", "duration", "width", "height", "fps", "num_frames")


class Place(NamedTuple):
    """Where a result is to go.

    Attributes:
        path: the file; None for standard output.
        format: that was asked for, or None for what the suffix or the modality says.
        chosen: whether the name is ours.
    """

    path: Path | None
    format: str | None
    chosen: bool

    def arguments(self) -> dict[str, Any]:
        """What the verb is given of it."""
        found = {"output_path": self.path, "output_format": self.format}
        return {name: value for name, value in found.items() if value is not None}


def place(output: str | None, output_format: str | None, kind: Any, stem: str) -> Place:
    """Where it goes, checked before any work is done.

    Args:
        output: what ``-o`` says.
        output_format: what ``--format`` says, which needs no file name.
        kind: ``Audio``, ``Image`` or ``Video``.
        stem: of the file's name where none is given.

    Raises:
        UsageError: binary data for a terminal; a format twice.
        OptionError: an unknown suffix or format, or a folder that does not exist.
    """
    wanted = None if output_format is None else check_format(output_format, kind)
    if output == "-":
        if sys.stdout.isatty():
            raise UsageError("The result is no text for a terminal.", hint="Name a file with -o, or pipe it on.")
        return Place(None, wanted, False)
    if output is not None:
        if wanted is not None:
            raise UsageError("-o FILE and --format both say the format.", hint="The suffix of FILE is enough.")
        check_output_path(output, kind)
        return Place(Path(output).expanduser(), None, False)
    first = next(iter(kind.formats.values())) if wanted is None else kind.formats[wanted]
    return Place(free_name(stem, first.suffixes[0]), None, True)


def free_name(stem: str, suffix: str) -> Path:
    """``speech.wav``, or ``speech-2.wav`` where that is taken, and so on."""
    path, n = Path(f"{stem}{suffix}"), 1
    while path.exists():
        n += 1
        path = Path(f"{stem}-{n}{suffix}")
    return path


def deliver(result: Any, where: Place, *, as_json: bool) -> None:
    """Say where the result is; or write it to standard output, if that is where it goes."""
    if where.path is None:
        write_bytes(read_media(result))
        print_facts(result, None, as_json, sys.stderr.write)
        return
    if as_json:
        print_facts(result, where.path, True, sys.stdout.write)
        return
    if where.chosen:
        print(where.path)
    if sys.stderr.isatty():
        print(repr(result), file=sys.stderr)


def print_facts(result: Any, path: Path | None, as_json: bool, write: Callable[[str], object]) -> None:
    """What is known of a result, and where it is, as JSON."""
    if as_json:
        write(json.dumps(facts(result, path), indent=2, ensure_ascii=False) + "\n")


def facts(result: Any, path: Path | None) -> dict[str, Any]:
    """What is known of a result, as JSON values."""
    told: dict[str, Any] = {
        "path": None if path is None else str(path),
        "format": result.format,
        "mime_type": result.mime_type,
        "bytes": len(result) if path is None else path.stat().st_size,
    }
    for name in _FACTS:
        if hasattr(type(result), name):
            try:
                told[name] = getattr(result, name)
            except (MediaError, LollmsError):  # in a format that is not read here
                told[name] = None
    made = result.provenance
    return {**told, "provenance": None if made is None else made.to_json()}


def write_bytes(data: bytes) -> None:
    """To standard output, whole."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def read_bytes() -> bytes:
    """All of standard input."""
    return sys.stdin.buffer.read()


def read_text(words: list[str] | None, what: str) -> str:
    """The words of the command line, or what is piped in.

    Raises:
        UsageError: neither, or no text.
    """
    if words and words != ["-"]:
        return " ".join(words)
    if not words and sys.stdin.isatty():
        raise UsageError(f"There is no {what}.", hint="Give it as words, or pipe it in; - waits for it.")
    try:
        return read_bytes().decode()
    except UnicodeDecodeError as exc:
        raise UsageError(f"The {what} that was piped in is no UTF-8 text: {exc.reason} at byte {exc.start}.") from exc
