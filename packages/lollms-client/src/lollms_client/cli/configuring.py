"""``lollms config``."""

from __future__ import annotations

import json as json_
import re
from typing import Annotated, Any

import typer

from lollms_client.cli import complete, configuration
from lollms_client.cli.checked_value import checked
from lollms_client.cli.errors import FAILURE, UsageError
from lollms_client.cli.params import Json
from lollms_client.cli.telling import json_text

_SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)


def config(
    key: Annotated[
        str | None,
        typer.Argument(
            help="tts.binding, tts.environment, tts.place, tts.piper.SETTING; likewise tti, stt, ttm, ttv.",
            autocompletion=complete.keys,
        ),
    ] = None,
    value: Annotated[str | None, typer.Argument(help="The new value; without one the old is shown.")] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Take the value out.")] = False,
    json: Json = False,
) -> int:
    """Show the configuration, one value of it, or change one.

    It says which binding is used where a command names none, and with which settings. Values that look like keys of
    services are not shown unless they are asked for one by one.
    """
    if unset and (key is None or value is not None):
        raise UsageError("--unset takes one key and no value.")
    if key is not None and (value is not None or unset):
        parts, new = configuration.parse_key(key), None
        if value is not None:
            parts, new = checked(parts, value)
        typer.echo(configuration.change(".".join(parts), new), err=True)
        return 0
    tables = configuration.load().tables
    if key is not None:
        return _show_one(tables, configuration.parse_key(key), json)
    if json:
        typer.echo(json_text({"path": str(configuration.path()), "values": _masked(tables)}))
        return 0
    typer.echo(f"# {configuration.path()}" + ("" if configuration.path().exists() else ", which does not exist yet"))
    for line in _lines(_masked(tables)):
        typer.echo(line)
    return 0


def _show_one(tables: Any, parts: tuple[str, ...], json: bool) -> int:
    found = tables
    for part in parts:
        if part not in found:
            return FAILURE
        found = found[part]
    typer.echo(json_.dumps(found, default=str) if json or not isinstance(found, str) else found)
    return 0


def _masked(tables: Any) -> dict[str, Any]:
    def cleaned(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: cleaned(k, v) for k, v in value.items()}
        return "**********" if _SECRET.search(key) else value

    return {key: cleaned(key, value) for key, value in tables.items()}


def _lines(tables: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in tables.items():
        if isinstance(value, dict):
            found += _lines(value, f"{prefix}{key}.")
        else:
            found.append(f"{prefix}{key} = {json_.dumps(value, ensure_ascii=False, default=str)}")
    return found
