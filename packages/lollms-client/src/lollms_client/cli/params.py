"""The options that several commands have, each said once; and the groups of them that go together.

A command takes a group as one keyword-only parameter, and ``grouped`` shows typer the options in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import typer

from lollms_client.cli import complete
from lollms_client.cli.errors import UsageError
from lollms_client.cli.targets import Given, names_stdout

_T = TypeVar("_T")


Binding = Annotated[
    str | None,
    typer.Option("--binding", "-b", help="Which binding does it.", autocompletion=complete.names, show_default=False),
]
Target = Annotated[
    str,
    typer.Argument(
        metavar="BINDING",
        help="Such as tts:piper; piper or tts where only one can be meant.",
        autocompletion=complete.targets,
    ),
]
Environment = Annotated[
    str | None,
    typer.Option("--environment", "-e", help="Run it in that environment: a name, or a folder.", show_default=False),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Run it in a process of its own.")]
Place = Annotated[
    str | None,
    typer.Option(
        "--place",
        metavar="ADDRESS",
        help="Run it there: ssh://user@host, https://server, or a place's name.",
        autocompletion=complete.places,
        show_default=False,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="NAME=VALUE",
        help="A setting of the binding; may be repeated.",
        autocompletion=complete.settings,
    ),
]
Opt = Annotated[
    list[str] | None,
    typer.Option(
        "--opt",
        "-p",
        metavar="NAME=VALUE",
        help="An option of the call; may be repeated.",
        autocompletion=complete.options,
    ),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="Where it goes; the suffix decides the format, FOLDER/ takes a free name in it, - is stdout.",
    ),
]
Folder = Annotated[
    str | None,
    typer.Option("--directory", "-d", metavar="DIR", help="As -o DIR/: made if it is not there.", show_default=False),
]  # fmt: skip
Voice = Annotated[
    str | None,
    typer.Option(
        "--voice",
        "-v",
        help="One of those that lollms voices lists.",
        show_default=False,
        autocompletion=complete.voices,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="One of those that lollms models lists.",
        show_default=False,
        autocompletion=complete.models,
    ),
]
Language = Annotated[
    str | None, typer.Option("--language", "-l", help="Tag of a language, such as en or pt-BR.", show_default=False)
]
Speed = Annotated[float | None, typer.Option(help="1.0 is the natural speed.", show_default=False)]
Timeout = Annotated[float | None, typer.Option(min=0.001, help="Seconds that the call may take.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Format = Annotated[
    str | None, typer.Option("--format", "-f", help="The format where no file name says it.", show_default=False)
]


class File(NamedTuple):
    """Where a result goes."""

    output: Output = None
    directory: Folder = None
    format: _Format = None

    @property
    def is_stdout(self) -> bool:
        """Whether ``-o -`` says so."""
        return self.output is not None and len(self.output) == 1 and names_stdout(self.output[0])

    @property
    def given(self) -> Given:
        """The same, to be checked."""
        return Given(self.output, self.directory, self.format)


class Where(NamedTuple):
    """Where a binding runs, and its settings."""

    environment: Environment = None
    isolated: Isolated = False
    place: Place = None
    set: Set = None


class How(NamedTuple):
    """What a call is given beside its content, and whether its outcome is told as JSON."""

    opt: Opt = None
    timeout: Timeout = None
    json: Json = False


class Speakers(NamedTuple):
    """Who speaks in a recording."""

    diarize: Annotated[bool, typer.Option("--diarize", help="Tell who speaks.")] = False
    speakers: Annotated[
        int | None, typer.Option("--speakers", min=1, metavar="N", show_default=False, help="So many speak; tell who.")
    ] = None
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--known",
            metavar="NAME=FILE",
            show_default=False,
            help="A recording of somebody who may speak, by name; may be repeated.",
        ),
    ] = None

    def options(self) -> dict[str, Any]:
        """The options of the call; None for those that were not given.

        Raises:
            UsageError: no name, or no file.
        """
        known = {}
        for word in self.known or ():
            name, _, file = word.partition("=")
            if not name.strip() or not file:
                raise UsageError(f"--known {word!r} has no name and file.", hint="Write --known NAME=FILE.")
            known[name.strip()] = file
        wanted = self.diarize or self.speakers is not None or bool(known)
        return {"diarize": wanted or None, "num_speakers": self.speakers, "known_speakers": known or None}


def grouped(command: Callable[..., _T]) -> Callable[..., _T]:
    """The command as typer is to see it: each parameter that is a group is replaced by the options of the group."""
    groups: dict[str, Any] = {}
    shown: list[inspect.Parameter] = []
    for param in inspect.signature(command, eval_str=True).parameters.values():
        group = param.annotation
        if group not in (File, Where, How, Speakers):
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
