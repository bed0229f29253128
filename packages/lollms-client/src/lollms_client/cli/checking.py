"""``lollms list`` with its options: ``--check`` imports each binding in a child with a time limit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from lollms_modalities.finding.checking import check_bindings

from lollms_client.cli.errors import FAILURE
from lollms_client.cli.listing import Row, print_rows, refs_of, show, unreadable
from lollms_client.cli.params import Json
from lollms_client.cli.progress import counted


class Modality(StrEnum):
    """What a binding makes."""

    tts = "tts"
    tti = "tti"
    stt = "stt"
    ttm = "ttm"
    ttv = "ttv"


def list_bindings(
    modality: Annotated[list[Modality] | None, typer.Argument(help="Only these; all when left out.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Import each in a process of its own, and explain what fails.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that each may take with --check.")] = 60.0,
    json: Json = False,
) -> int:
    """List the bindings that are installed, here and in environments, and what is wrong with them.

    Without --check nothing is imported: only metadata is read. With it the exit code is 1 where a binding cannot be
    used.
    """
    names = [m.value for m in modality or ()]
    if not check:
        return show(names, as_json=json)
    broken = unreadable()
    refs = refs_of(names)
    rows = [Row(*finding) for finding in counted(check_bindings(refs, timeout), len(refs), "check", "bindings")]
    print_rows(rows, broken, as_json=json)
    return FAILURE if broken or any(row.error is not None for row in rows) else 0
