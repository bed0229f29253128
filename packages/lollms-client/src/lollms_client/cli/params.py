"""The options that several commands have, each said once."""

from __future__ import annotations

from typing import Annotated

import typer


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The bindings that ``--binding`` may name, by metadata only."""
    from lollms_modalities.entry_points.groups import MODALITIES
    from lollms_modalities.finding.bindings import find_bindings

    from lollms_client.cli.choice import MODALITY_OF

    modality = MODALITY_OF.get(ctx.info_name or "")
    modalities = [modality] if modality else MODALITIES
    names = {name for m in modalities for ref in find_bindings(m) for name in ref.names}
    return sorted(name for name in names if name.startswith(incomplete))


def _targets(incomplete: str) -> list[str]:
    from lollms_modalities.entry_points.groups import MODALITIES
    from lollms_modalities.finding.bindings import find_bindings

    targets = {f"{m}:{name}" for m in MODALITIES for ref in find_bindings(m) for name in ref.names}
    return sorted(target for target in targets if target.startswith(incomplete))


Binding = Annotated[
    str | None,
    typer.Option("--binding", "-b", help="Which binding does it.", autocompletion=_names, show_default=False),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="BINDING", help="Such as tts:piper; piper or tts where only one can be meant.", autocompletion=_targets
    ),
]
Environment = Annotated[
    str | None,
    typer.Option("--environment", "-e", help="Run it in that environment: a name, or a folder.", show_default=False),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Run it in a process of its own.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NAME=VALUE", help="A setting of the binding; may be repeated."),
]
Opt = Annotated[
    list[str] | None,
    typer.Option("--opt", "-p", metavar="NAME=VALUE", help="An option of the call; may be repeated."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where it goes; the suffix decides the format, - is stdout.",
        show_default=False,
    ),
]  # fmt: skip
Timeout = Annotated[float | None, typer.Option(min=0.001, help="Seconds that the call may take.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
