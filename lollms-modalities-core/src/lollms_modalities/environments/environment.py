"""Environments: folders with an interpreter and distributions of their own, known by their metadata."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities.entry_points.metadata import site_packages_of
from lollms_modalities.errors import BindingNotFoundError

if TYPE_CHECKING:
    from lollms_modalities.environments.record import Record


# An environment that we made lies in a folder whose name begins so, and beside it lies a file to lock.
PREFIX, LOCK = ".env-", "lock"


class Environment(NamedTuple):
    """A virtual environment.

    Attributes:
        name: what it is called; its path where it is not one of the named.
        folder: where it lies.
    """

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site_packages(self) -> list[str]:
        """Where its distributions lie."""
        return site_packages_of(self.folder)

    @property
    def record(self) -> Record | None:
        """How it was made; None where others made it."""
        from lollms_modalities.environments.record import read_record

        return read_record(self.folder)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables that its recipe wants for the processes that run there."""
        record = self.record
        return {} if record is None else record.parsed_recipe.variables

    @property
    def variables_inside(self) -> dict[str, str]:
        """All environment variables of a program that runs there."""
        from lollms_modalities.workers.variables import clean_variables

        programs = str(self.python.parent)
        path = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
        return {**clean_variables(), **self.variables, "VIRTUAL_ENV": str(self.folder), "PATH": path}

    @property
    def bindings(self) -> list[str]:
        """What it holds, such as "tts:piper", from metadata."""
        from lollms_modalities.entry_points.groups import MODALITIES
        from lollms_modalities.entry_points.metadata import entry_points_in
        from lollms_modalities.entry_points.refs import read_refs

        read = [read_refs(entry_points_in(site), None, self.name) for site in self.site_packages]
        return [f"{ref.modality}:{ref.name}" for modality in MODALITIES for refs in read for ref in refs[modality]]

    @property
    def places(self) -> list[str]:
        """The places that it holds, such as "ray", besides those of the core."""
        from lollms_modalities.entry_points.metadata import entry_points_in
        from lollms_modalities.entry_points.refs import offered_places

        return sorted(n for site in self.site_packages for n, _ in offered_places(entry_points_in(site)))

    @property
    def lock(self) -> Path | None:
        """The file that whoever uses it holds a lock on, so that it is not taken away; None where others made it."""
        lock = self.folder.parent / LOCK
        return lock if lock.parent.name.startswith(PREFIX) and lock.is_file() else None


def environments_folder() -> Path:
    """Where the named environments lie: ``lollms/environments`` in the platform's folder for data."""
    if sys.platform == "linux":
        # As platformdirs has it, whose import costs more than all else that listing does.
        return Path(
            os.environ.get("XDG_DATA_HOME", "").strip() or Path.home() / ".local/share", "lollms", "environments"
        )
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "environments"


def list_environments() -> list[Environment]:
    """The named environments, sorted by name."""
    folder = environments_folder()
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        return []
    # One that we made is a link, followed here: what runs there keeps its files when the link moves on.
    return [
        Environment(name, Path(os.path.realpath(folder / name)))
        for name in names
        if (folder / name / "pyvenv.cfg").is_file()
    ]


def find_environment(name: str | Path) -> Environment:
    """The environment of that name, or in that folder.

    Raises:
        BindingNotFoundError: there is none.
    """
    text = os.fspath(name)
    is_path = isinstance(name, Path) or os.sep in text or text in (".", "..", "~") or "\0" in text
    if is_path:
        folder = Path(os.path.expanduser(text)) if "\0" not in text else Path("nul")
        if (folder / "pyvenv.cfg").is_file():
            return Environment(str(folder), folder.absolute())
        raise BindingNotFoundError(
            f"{text!r} is no virtual environment: it holds no pyvenv.cfg.", hint="Make one with python -m venv."
        )
    known = list_environments()
    for environment in known:
        if environment.name == text:
            return environment
    there = f"There are: {', '.join(e.name for e in known)}." if known else "lollms env create makes one."
    raise BindingNotFoundError(
        f"There is no environment {text!r} in {environments_folder()}.",
        hint=f"{there} The path of a virtual environment will do, too.",
    )
