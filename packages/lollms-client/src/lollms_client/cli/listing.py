"""``lollms list``, from metadata alone: no binding is imported, and neither is typer."""

from __future__ import annotations

import shutil
import sys

from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.metadata import damaged
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.errors import LollmsError
from lollms_modalities.finding.bindings import candidates, find_bindings
from lollms_modalities.finding.mending import install_command

from lollms_client.cli.text import paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Row:
    """One binding in the list.

    Attributes:
        ref: its metadata.
        error: why it cannot be used, or None.
        seconds: that its import took, where it was imported.
    """

    def __init__(self, ref: BindingRef, error: LollmsError | None, seconds: float | None = None) -> None:
        self.ref = ref
        self.error = error
        self.seconds = seconds


def show(modalities: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print what is installed, with what the metadata says is wrong with it; the exit code."""
    broken = unreadable()
    rows = metadata_rows(refs_of(modalities))
    print_rows(rows, broken, as_json=as_json)
    return 0


def metadata_rows(refs: list[BindingRef]) -> list[Row]:
    """The bindings with what the metadata says is missing; of those in environments that is not known here."""
    versions: dict[str, str | None] = {}
    return [Row(ref, _unmet(ref, versions) if ref.origin == "installed" else None) for ref in refs]


def refs_of(modalities: Sequence[str]) -> list[BindingRef]:
    """The bindings of some modalities; of all where none is named."""
    return [ref for modality in modalities or MODALITIES for ref in find_bindings(modality)]


def unreadable() -> list[LollmsError]:
    """What can be told of the distributions whose metadata cannot be read; discovery's log need not tell it again."""
    found = damaged()
    if found:
        import logging

        logging.getLogger("lollms_modalities.entry_points").addHandler(logging.NullHandler())
    return list(found)


def print_rows(rows: list[Row], broken: list[LollmsError], *, as_json: bool) -> None:
    """Print the list, and after it what is wrong."""
    if as_json:
        import json

        told = {"bindings": [_as_json(row) for row in rows], "damaged": [_error(error) for error in broken]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    if not rows:
        print(f"No binding is installed. Run {install_command('piper')}, for one.")
    for line in table([_cells(row) for row in rows]):
        print(line)
    notes = [str(row.error) for row in rows if row.error is not None]
    for note in [*notes, *conflicts([row.ref for row in rows]), *map(str, broken)]:
        print(f"\n{paragraph(note, sys.stdout)}")


def _unmet(ref: BindingRef, versions: dict[str, str | None]) -> LollmsError | None:
    from lollms_modalities.finding.loading import check_requirements

    try:
        check_requirements(ref, versions)
    except LollmsError as exc:
        return exc
    return None


def _cells(row: Row) -> list[str]:
    ref = row.ref
    mark = "!" if row.error is not None else ""
    name = f"{ref.name} ({', '.join(ref.aliases)})" if ref.aliases else ref.name
    of = f"{ref.distribution} {ref.version}".strip() or "?"
    where = f"{of} in {ref.environment}" if ref.environment else of
    taken = [] if row.seconds is None else [f"{row.seconds:.1f} s"]
    return [mark, ref.modality, name, where, *taken, ref.summary]


def table(rows: list[list[str]]) -> list[str]:
    """The lines of a table; on a terminal none is longer than that is wide."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        lines = [line if len(line) <= columns else line[: columns - 3] + "..." for line in lines]
    return lines


def conflicts(refs: list[BindingRef]) -> list[str]:
    """What is told of the names that several distributions claim."""
    found = {}
    for modality, name in {(ref.modality, name): None for ref in refs for name in ref.names}:
        claimants = candidates([ref for ref in refs if ref.modality == modality], name)
        who = {ref.distribution: f"{ref.distribution} {ref.version}" for ref in claimants}
        # One distribution here and in an environment is no conflict.
        if len(who) > 1:
            first, *others = who.values()
            found[modality, name] = (
                f"{modality}:{name}: {first} and {' and '.join(others)} claim this name. {first} is used; uninstall "
                "the other to end this."
            )
    return list(found.values())


def _as_json(row: Row) -> dict[str, Any]:
    ref = row.ref
    told: dict[str, Any] = {
        "modality": ref.modality, "name": ref.name, "aliases": list(ref.aliases), "distribution": ref.distribution,
        "version": ref.version, "summary": ref.summary, "place": ref.origin, "environment": ref.environment,
        "error": None if row.error is None else _error(row.error),
    }  # fmt: skip
    return told if row.seconds is None else {**told, "seconds": round(row.seconds, 3)}


def _error(error: LollmsError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint}
