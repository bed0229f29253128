"""``lollms voices``: those of a speech binding, what is known of them, and recordings that are kept as voices."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from lollms_client.cli import complete
from lollms_client.cli.errors import UsageError
from lollms_client.cli.listing import table
from lollms_client.cli.params import Binding, Json, Where, grouped
from lollms_client.cli.sources import content_of
from lollms_client.cli.telling import json_text
from lollms_client.cli.use import Which, opened


class Action(StrEnum):
    """What is to be done."""

    list = "list"
    describe = "describe"
    add = "add"
    remove = "remove"


@grouped
def voices(
    action: Annotated[
        Action, typer.Argument(help="List them, describe them, keep a recording as one, forget one that was kept.")
    ] = Action.list,
    name: Annotated[
        str | None,
        typer.Argument(
            help="Of the voice to describe, add or remove.", show_default=False, autocompletion=complete.voices
        ),
    ] = None,
    recording: Annotated[
        str | None, typer.Argument(help="To add: somebody who speaks, a few seconds long.", show_default=False)
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", show_default=False, help="To add: who attests, and when, that the person agrees."
        ),
    ] = None,
    binding: Binding = None,
    *,
    where: Where,
    json: Json = False,
) -> None:  # fmt: skip
    """List the voices of a speech binding, one a line; describe, add or remove one.

    lollms voices add anna anna.wav --consent "Anna Berg, 27 November 2026"

    A binding that clones voices keeps the recording; the consent is in the provenance of what the voice says.
    """
    _check(action, name, recording, consent)
    with opened(Which.of("tts", binding, where)) as made:
        tts: Any = made.binding
        if action is Action.add:
            tts.add_voice(name, content_of(str(recording)), consent)
            typer.echo(f"lollms speak -b {tts.binding_name} -v {name!r} speaks with it.", err=True)
        elif action is Action.remove:
            tts.remove_voice(name)
        elif action is Action.describe:
            _describe(tts.describe_voices(), name, as_json=json)
        elif json:
            typer.echo(json_text(tts.list_voices()))
        else:
            for voice in tts.list_voices():
                typer.echo(voice)


def _check(action: Action, name: str | None, recording: str | None, consent: str | None) -> None:
    if action in (Action.add, Action.remove) and name is None:
        raise UsageError(f"Which voice is to be {'added' if action is Action.add else 'removed'}?", hint="Name it.")
    if action is Action.add and (recording is None or not (consent or "").strip()):
        raise UsageError(
            "A voice is added from a recording of somebody who agrees to it.",
            hint=f'Write lollms voices add {name} FILE --consent "WHO, WHEN".',
        )
    if action is not Action.add and (recording is not None or consent is not None):
        raise UsageError("A recording and --consent go with add.", hint="Leave them out.")
    if action is Action.list and name is not None:
        raise UsageError(f"lollms voices list takes no name: {name!r}.", hint="lollms voices describe takes one.")


def _describe(rows: list[dict[str, Any]], name: str | None, *, as_json: bool) -> None:
    found = [row for row in rows if name in (None, row["name"], str(row["name"]).rpartition(".")[0])]
    if name is not None and not found:
        raise UsageError(f"There is no voice {name!r}.", hint="lollms voices lists them.")
    if as_json:
        typer.echo(json_text(found))
        return
    for line in table([_cells(row) for row in found]):
        typer.echo(line)


def _cells(row: dict[str, Any]) -> list[str]:
    mark = "*" if row["default"] else ""  # the one that speaks where none is named
    return [mark, str(row["name"]), row["language"] or "-", row["gender"] or "-", str(row["sample"] or "")]
