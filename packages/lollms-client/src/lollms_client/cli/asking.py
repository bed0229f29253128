"""``lollms models``: what a binding knows, without loading a model."""

from __future__ import annotations

from typing import Any

import typer

from lollms_client.cli.choice import parse_target
from lollms_client.cli.params import Json, Target, Where, grouped
from lollms_client.cli.telling import json_text
from lollms_client.cli.use import Which, opened


@grouped
def models(binding: Target, *, where: Where, json: Json = False) -> None:
    """List the models that a binding knows, one a line; of one that draws, its services."""
    choice = parse_target(binding)
    with opened(Which.of(choice.modality, choice.name, where)) as made:
        names: list[Any] = list(made.binding.list_models())
        if not names and choice.modality == "tti":
            names = made.binding.list_services()  # type: ignore[attr-defined]
        _print(names, json)


def _print(names: list[Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json_text(names))
        return
    for name in names:
        typer.echo(name["name"] if isinstance(name, dict) else name)
