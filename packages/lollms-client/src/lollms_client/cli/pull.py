"""``lollms pull``."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from lollms_modalities.errors import UnsupportedError

from lollms_client.cli import complete
from lollms_client.cli.choice import parse_target
from lollms_client.cli.errors import UsageError
from lollms_client.cli.params import Target, Timeout, Where, grouped
from lollms_client.cli.use import Which, call, opened

_WAYS = ("download_voice", "download_model")


@grouped
def pull(
    binding: Target,
    name: Annotated[
        str | None, typer.Argument(help="Of the voice or model.", show_default=False, autocompletion=complete.models)
    ] = None,
    *,
    where: Where,
    timeout: Timeout = None,
) -> None:
    """Fetch a voice or a model, with progress.

    A binding that has download_voice() or download_model() is asked to; of others the model is loaded once, by which
    its engine fetches it into its cache.
    """
    choice = parse_target(binding)
    target = f"{choice.modality}:{choice.name}"
    if name is None:
        raise UsageError(
            f"Which voice or model of {target} is meant?",
            hint=f"lollms pull {target} NAME; lollms models {target} lists those that it knows.",
        )

    def settings(described: dict[str, Any]) -> dict[str, Any]:
        if _way(described) is not None:
            return {}
        if "model_name" not in described["settings"].get("properties", {}):
            raise UnsupportedError(f"{target} has nothing to fetch.", hint=f"See lollms info {target}.")
        return {"model_name": name}

    with opened(Which.of(choice.modality, choice.name, where), settings) as made:
        way = _way(made.description)
        if way is not None:
            typer.echo(call(getattr(made.binding, way), name, label=name, timeout=timeout))
            if way == "download_voice":
                typer.echo(f"lollms speak -b {choice.name} -v {name} speaks with it.", err=True)
        else:
            call(made.binding.load, label=name, timeout=timeout)
            typer.echo(f"{name} is there.", err=True)


def _way(described: dict[str, Any]) -> str | None:
    """The method that fetches, or None."""
    return next((way for way in _WAYS if way in described["methods"]), None)
