"""``lollms env``: make, look at, renew and remove environments, and run programs in them."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities import Progress
from lollms_modalities.environments.changing import (
    check_environment,
    create_environment,
    remove_environment,
    update_environment,
)
from lollms_modalities.environments.environment import (
    Environment,
    environments_folder,
    find_environment,
    list_environments,
)
from lollms_modalities.environments.explain import bytes_text
from lollms_modalities.environments.record import disk_use

from lollms_client.cli.errors import UsageError, tell

app = typer.Typer(no_args_is_help=True, help="Environments, for engines that cannot live together.")

Binding = Annotated[
    str, typer.Argument(help="Name of a binding, a distribution that offers one, or a requirement.", show_default=False)
]
Python = Annotated[str | None, typer.Option(help="Version ('3.12'), range, or path of the interpreter.")]
Source = Annotated[Path | None, typer.Option("--from", help="Take it from a checkout, or from a folder of wheels.")]
Torch = Annotated[str | None, typer.Option(help="Which build of torch: auto, cpu or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="user@host",
        help="Do it on that machine, over ssh, with the lollms that is there; paths are its own.",
        show_default=False,
    ),
]
Names = Annotated[list[str] | None, typer.Argument(help="Names of environments; all where none is given.")]


@app.command()
def create(
    binding: Binding = "", *, python: Python = None,
    extra: Annotated[list[str] | None, typer.Option(help="An extra of the distribution; may be repeated.")] = None,
    source: Source = None,
    name: Annotated[str, typer.Option(help="Name of the environment, if not the binding's.")] = "",
    torch: Torch = None,
    allow_build: Annotated[
        bool, typer.Option("--allow-build", help="Build what comes as source, which runs its code, before it is seen.")
    ] = False,
    record: Annotated[
        Path | None, typer.Option(help="Make it again from this record (lollms.json) or environment.")
    ] = None,
    on: On = None,
) -> None:  # fmt: skip
    """Make an environment for a binding, or for a place that needs one, such as ray."""
    if on is not None:
        said = {"--python": python, "--from": source, "--name": name, "--torch": torch, "--record": record}
        words = [f"{option}={value}" for option, value in said.items() if value]
        words += [f"--extra={value}" for value in extra or ()] + ["--allow-build"] * allow_build
        raise typer.Exit(_there(on, ["create", *words, *(["--", binding] if binding else [])]))
    with _Display() as display:
        made = create_environment(
            binding, name=name, python=python or "", extras=extra or (), source=source or "",
            torch=torch or "auto",  # type: ignore[arg-type]  # which is checked there
            record=record, allow_build=allow_build, progress=display,
        )  # fmt: skip
    _tell_made(made)


@app.command("list")
def list_(as_json: AsJson = False, on: On = None) -> None:
    """List the environments: what they hold, their Python, their size."""
    if on is not None:
        raise typer.Exit(_there(on, ["list", *["--json"] * as_json]))
    environments = list_environments()
    rows = [_row(environment) for environment in environments]
    whole = disk_use([_room(environment) for environment in environments])
    if as_json:
        typer.echo(json.dumps({"environments": rows, "size": whole.size, "shared": whole.shared}, indent=1))
        return
    if not rows:
        typer.echo(f"There is no environment in {environments_folder()}. lollms env create BINDING makes one.")
        return
    for row in rows:
        torch = f", torch {row['torch']}" if row["torch"] else ""
        typer.echo(f"{row['name']}: {_held(row) or 'no binding'}")
        typer.echo(f"    Python {row['python'] or '?'}{torch}, {_size(row['size'], row['shared'])}")
        typer.echo(f"    {row['folder']}")
    if len(rows) > 1:
        typer.echo(f"In all {_size(whole.size, whole.shared)}")


@app.command()
def check(names: Names = None) -> None:
    """Import the bindings of environments and run their recipes' checks. Ends with 1 if something is wrong."""
    wrong = False
    for environment in _named(names):
        began = time.monotonic()
        found = check_environment(environment.name)
        if found.problems:
            wrong = True
            typer.echo(f"{environment.name}: broken")
            for problem in found.problems:
                typer.echo(f"    {problem}")
            typer.echo(f"    lollms env update {environment.name} makes it anew.")
        else:
            held = [f"{b['modality']}:{b['name']} {b['version']}" for b in found.bindings]
            held += [f"the place {name}" for name in found.places]
            typer.echo(f"{environment.name}: fine, {', '.join(held)} ({time.monotonic() - began:.1f} s)")
    if wrong:
        raise typer.Exit(1)


@app.command()
def update(names: Names = None, *, python: Python = None, source: Source = None, torch: Torch = None) -> None:
    """Make environments anew, with what is newest now; the old one serves until the new one works."""
    for environment in _named(names):
        before = environment.record
        with _Display() as display:
            made = update_environment(
                environment.name, python=python, source=source,
                torch=torch,  # type: ignore[arg-type]  # which is checked there
                progress=display,
            )  # fmt: skip
        _tell_made(made)
        old, new = (set(r.pins) if r is not None else set() for r in (before, made.record))
        for pin in sorted(new - old):
            typer.echo(f"    + {pin}")
        for pin in sorted(old - new):
            typer.echo(f"    - {pin}")


@app.command()
def remove(names: Annotated[list[str], typer.Argument(help="Names of environments.")]) -> None:
    """Remove environments."""
    for environment in [find_environment(name) for name in names]:
        freed = disk_use([_room(environment)])
        remove_environment(environment.name)
        if environment.folder.exists():
            typer.echo(f"Removed {environment.name}; its files go when what runs in it has ended.")
        else:
            typer.echo(f"Removed {environment.name}: {bytes_text(freed.size - freed.shared)} are free again.")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def run(context: typer.Context, name: str) -> None:
    """Run a program in an environment: lollms env run bark -- python -c "import torch"."""
    environment = find_environment(name)
    command = [argument for n, argument in enumerate(context.args) if n or argument != "--"]
    if not command:
        raise UsageError("No program was named.", hint="It comes after the environment, with its arguments.")
    variables = environment.variables_inside
    places = variables["PATH"]
    import shutil

    program = shutil.which(command[0], path=places)
    if program is None:
        tell(f"lollms: {name} has no program {command[0]!r}.")
        raise typer.Exit(127)
    sys.stdout.flush()
    os.execve(program, command, variables)


# --- parts ----------------------------------------------------------------------------------------------------------


class _Display:
    """Shows how far the making of an environment is, on standard error: a line that is written over, or one a stage."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._told = ""
        self._began = time.monotonic()

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._over and self._told:
            typer.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, progress: Progress) -> None:
        count = f" {progress.done:.0f}/{progress.total:.0f}" if progress.total else ""
        if self._over:
            text = f"{progress.stage}{count} ({time.monotonic() - self._began:.0f} s)"
            typer.echo(f"\r\x1b[K{text}", nl=False, err=True)
        elif progress.stage != self._told:
            typer.echo(f"{progress.stage}{count}", err=True)
        self._told = progress.stage


def _there(on: str, words: list[str]) -> int:
    """Run ``lollms env`` with these words on another machine; gives its exit code."""
    from lollms_modalities.workers.ssh_address import parse_address
    from lollms_modalities.workers.ssh_command import run_there

    def write(file: Any, data: bytes) -> None:
        file.flush()
        file.buffer.write(data)
        file.flush()

    address = parse_address(on if "://" in on else f"ssh://{on}")
    return run_there(address, ["env", *words], partial(write, sys.stdout), partial(write, sys.stderr))


def _named(names: list[str] | None) -> list[Environment]:
    return [find_environment(name) for name in names] if names else list_environments()


def _tell_made(environment: Environment) -> None:
    row, record = _row(environment), environment.record
    assert record is not None
    typer.echo(
        f"{environment.name}: {_held(row)} on Python {record.python} in {record.seconds:.0f} s, "
        f"{_size(row['size'], row['shared'])}"
    )


def _row(environment: Environment) -> dict[str, Any]:
    use = disk_use([_room(environment)])
    record = environment.record
    return {
        "name": environment.name,
        "bindings": environment.bindings,
        "places": environment.places,
        "python": record.python if record is not None else "",
        "torch": record.torch if record is not None else "",
        "created": record.created if record is not None else "",
        "seconds": record.seconds if record is not None else None,
        "size": use.size,
        "shared": use.shared,
        "folder": str(environment.folder),
    }


def _held(row: dict[str, Any]) -> str:
    return ", ".join([*row["bindings"], *(f"the place {name}" for name in row["places"])])


def _room(environment: Environment) -> Path:
    """What goes when the environment is removed."""
    return environment.folder if environment.lock is None else environment.lock.parent


def _size(size: int, shared: int) -> str:
    return (
        f"{bytes_text(size)}, {bytes_text(shared)} of it shared with uv's cache or others"
        if shared
        else bytes_text(size)
    )
