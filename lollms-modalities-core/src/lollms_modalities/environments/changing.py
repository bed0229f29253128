"""Environments are made, updated, checked and removed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities.calls.call import Call
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.environments import store
from lollms_modalities.environments.building import Building
from lollms_modalities.environments.environment import environments_folder, find_environment
from lollms_modalities.environments.inspecting import differences, inspect
from lollms_modalities.environments.installers import Runner
from lollms_modalities.environments.recipe import Recipe
from lollms_modalities.environments.record import FILE, Request, read_record
from lollms_modalities.errors import EnvironmentBuildError, UnsupportedError

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.progress import ProgressCallback
    from lollms_modalities.environments.environment import Environment
    from lollms_modalities.environments.inspecting import Inspection
    from lollms_modalities.environments.record import Record
    from lollms_modalities.environments.resolving import Torch


def create_environment(
    binding: str = "", *, name: str = "", python: str | Path = "", extras: Sequence[str] = (),
    source: str | Path = "", torch: Torch = "auto", record: str | Path | None = None, allow_build: bool = False,
    progress: bool | ProgressCallback | None = None, cancel: CancelToken | None = None, timeout: float | None = None,
) -> Environment:  # fmt: skip
    """Make an environment for a binding, as the recipe in its distribution says.

    Args:
        binding: its name, or the distribution that offers it, or a requirement.
        name: of the environment; the binding's unless told otherwise.
        python: version ("3.12"), range, or path of the interpreter; by default the one that runs here if it fits.
        extras: of the distribution, besides those of its recipe.
        source: a folder to take it from: a checkout of projects, or wheels.
        torch: which build, where the engine runs on torch: for the CPU, for CUDA, or as fits this machine.
        allow_build: build what comes as source before it is known to offer a binding, which runs its authors' code.
            Without it a wheel is looked at first.
        record: make it again as this record of another says (the file, or the environment's folder).
        progress, cancel, timeout: as of every call; progress comes in the stages "find", "resolve", "download ...",
            "install" and "check".

    Raises:
        BindingNotFoundError: nothing offers the binding.
        EnvironmentBuildError: it could not be made, and nothing is left of it; ``reason`` and the message say why.
        CallCancelled, CallTimeout: the call was stopped, and nothing is left.
    """
    wanted = Request(
        binding, str(python), tuple(extras), str(Path(os.path.expanduser(source)).absolute()) if source else "", torch,
        allow_build,
    )  # fmt: skip
    kept = None
    if record is not None:
        kept = _kept(Path(record))
        wanted = Request(
            binding or kept.request.binding,
            str(python),
            kept.request.extras,
            kept.request.source,
            kept.request.torch,
            allow_build or kept.request.allow_build,
        )
    if not wanted.binding:
        raise EnvironmentBuildError("No binding was named.", hint="Give its name, or a record.", reason="recipe")
    if wanted.torch not in ("auto", "cpu", "cuda"):
        raise EnvironmentBuildError(f"torch={torch!r} is not auto, cpu or cuda.", reason="recipe")
    if name:
        store.check_name(name)
    with _calling("create_environment", progress, cancel, timeout) as call:
        return Building(call, wanted).make(name, None if record is None else Path(record), kept)


def update_environment(
    name: str, *, python: str | Path | None = None, source: str | Path | None = None, torch: Torch | None = None,
    progress: bool | ProgressCallback | None = None, cancel: CancelToken | None = None, timeout: float | None = None,
) -> Environment:  # fmt: skip
    """Make an environment anew as it was asked for, with what is newest now; arguments left out stay as they were.

    The one that is there serves until the new one has been tried, and what runs in it keeps its files.

    Raises: as ``create_environment``; the one that is there then stays.
    """
    environment = find_environment(name)
    kept = environment.record
    if kept is None:
        raise EnvironmentBuildError(
            f"The environment {environment.name!r} was not made by lollms env create, so that how is not known.",
            hint=f"Run lollms env remove {environment.name} and lollms env create.",
            reason="recipe",
        )
    asked = kept.request
    wanted = Request(
        asked.binding,
        asked.python if python is None else str(python),
        asked.extras,
        asked.source if source is None else str(Path(os.path.expanduser(source)).absolute()),
        asked.torch if torch is None else torch,
        asked.allow_build,
    )
    with _calling("update_environment", progress, cancel, timeout) as call:
        return Building(call, wanted, replaces=kept.name).make(kept.name, None, None)


def remove_environment(name: str) -> None:
    """Remove an environment. What runs in it keeps its files, which go when that has ended.

    Raises:
        BindingNotFoundError: there is none.
        EnvironmentBuildError: it is being made anew right now.
    """
    environment = find_environment(name)
    if environment.folder != Path(os.path.realpath(environments_folder() / environment.name)):
        raise EnvironmentBuildError(
            f"{name!r} is a path, and what lies elsewhere is not ours to remove.",
            hint="Give the name of an environment.",
            reason="recipe",
        )
    store.remove(environment.name)
    refresh()


def check_environment(name: str | Path, *, timeout: float | None = 300) -> Inspection:
    """Import the bindings of an environment, run its recipe's check, and look whether it still is what was recorded.

    Raises:
        BindingNotFoundError: there is none.
        CallTimeout: it took longer than ``timeout`` seconds.
    """
    import tempfile

    environment = find_environment(name)
    kept = environment.record
    recipe = Recipe() if kept is None else kept.parsed_recipe
    with (
        _calling("check_environment", None, None, timeout) as call,
        tempfile.TemporaryDirectory(prefix="lollms-") as folder,
    ):
        found = inspect(environment.python, Runner(call, Path(folder)), recipe.variables, recipe.check)
    found.problems.extend(differences(environment, kept))
    return found


@contextlib.contextmanager
def _calling(
    verb: str, progress: bool | ProgressCallback | None, cancel: CancelToken | None, timeout: float | None
) -> Iterator[Call]:
    if os.name != "posix":
        raise UnsupportedError(f"Environments need Linux or macOS; this is {sys.platform}.")
    call = Call(verb)
    try:
        call.control(progress, cancel, timeout)
        call.begin()
        yield call
    finally:
        call.finish()


def _kept(path: Path) -> Record:
    kept = read_record(path)
    if kept is None:
        raise EnvironmentBuildError(
            f"{str(path)!r} is no record, nor a folder with one.", hint=f"It is called {FILE}.", reason="recipe"
        )
    return kept
