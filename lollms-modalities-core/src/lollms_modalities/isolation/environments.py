"""Environments: folders with an interpreter and distributions of their own, known by their metadata."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from lollms_modalities.errors import BindingNotFoundError


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
        places = [*self.folder.glob("lib/python3*/site-packages"), *self.folder.glob("Lib/site-packages")]
        return [str(place) for place in sorted(places)]


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
    return [Environment(name, folder / name) for name in names if (folder / name / "pyvenv.cfg").is_file()]


def find_environment(name: str | Path) -> Environment:
    """The environment of that name, or in that folder.

    Raises:
        BindingNotFoundError: there is none.
    """
    text = os.fspath(name)
    is_path = isinstance(name, Path) or os.sep in text or text in (".", "..", "~") or "\0" in text
    if is_path:
        folder = Path(text).expanduser() if "\0" not in text else Path("nul")
        if (folder / "pyvenv.cfg").is_file():
            return Environment(str(folder), folder.absolute())
        raise BindingNotFoundError(
            f"{text!r} is no virtual environment: it holds no pyvenv.cfg.", hint="Make one with python -m venv."
        )
    known = list_environments()
    for environment in known:
        if environment.name == text:
            return environment
    there = f"There are: {', '.join(e.name for e in known)}." if known else "There is none."
    raise BindingNotFoundError(
        f"There is no environment {text!r} in {environments_folder()}.",
        hint=f"{there} The path of a virtual environment will do, too.",
    )
