"""The options that several commands have, each said once; and the groups of them that go together.

A command takes a group as one keyword-only parameter, and ``grouped`` shows typer the options in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import typer

_T = TypeVar("_T")


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
_Format = Annotated[
    str | None, typer.Option("--format", "-f", help="The format where no file name says it.", show_default=False)
]


class File(NamedTuple):
    """Where a result goes."""

    output: Output = None
    format: _Format = None


class Where(NamedTuple):
    """Where a binding runs, and its settings."""

    environment: Environment = None
    isolated: Isolated = False
    set: Set = None


class How(NamedTuple):
    """What a call is given beside its content, and whether its outcome is told as JSON."""

    opt: Opt = None
    timeout: Timeout = None
    json: Json = False


def grouped(command: Callable[..., _T]) -> Callable[..., _T]:
    """The command as typer is to see it: each parameter that is a group is replaced by the options of the group."""
    groups: dict[str, Any] = {}
    shown: list[inspect.Parameter] = []
    for param in inspect.signature(command, eval_str=True).parameters.values():
        group = param.annotation
        if group not in (File, Where, How):
            shown.append(param.replace(kind=param.KEYWORD_ONLY))
            continue
        groups[param.name] = group
        shown += [
            inspect.Parameter(name, param.KEYWORD_ONLY, default=group._field_defaults[name], annotation=annotation)
            for name, annotation in get_type_hints(group, include_extras=True).items()
        ]

    @wraps(command)
    def run(**given: Any) -> _T:
        taken = {name: group(*map(given.pop, group._fields)) for name, group in groups.items()}
        return command(**given, **taken)

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {param.name: param.annotation for param in shown}
    return run
