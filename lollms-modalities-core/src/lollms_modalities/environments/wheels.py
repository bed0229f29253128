"""Wheels that are built or found, and what their metadata says."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_string
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities.environments.local import CORE, damage_told, fitting, identity, normal, refuse_no_file
from lollms_modalities.environments.recipe import FILE
from lollms_modalities.errors import BindingNotFoundError

if TYPE_CHECKING:
    from lollms_modalities.environments.installers import Installer
    from lollms_modalities.environments.local import Local


class Builder:
    """Makes wheels of what is on this machine."""

    def __init__(self, installer: Installer, work: Path, local: list[Local]) -> None:
        self._installer = installer
        self._work = work
        self._local = local
        self.wheels: dict[str, Path] = {}

    def make(self, local: Local) -> Read:
        """Make its wheel and read that."""
        wheels = self._work / "wheels"
        wheels.mkdir(exist_ok=True)
        built = local.path
        if local.path.is_dir():
            built = self._installer.build(local.path, self._work / "built" / normal(local.name))
        target = wheels / built.name
        target.write_bytes(built.read_bytes())
        self.wheels[normal(local.name)] = target
        return read_wheel(target)

    def add_all(self, requirements: Iterable[str], extras: Iterable[str] = ()) -> None:
        """Make the wheels of what is required, with these extras, where it is on this machine."""
        from packaging.requirements import Requirement

        for text in requirements:
            wanted = Requirement(text)
            asked = [{"extra": extra} for extra in ("", *extras)]
            if wanted.marker is not None and not any(map(wanted.marker.evaluate, asked)):
                continue
            local = fitting(f"{wanted.name}{wanted.specifier}", self._local)
            if local is not None and normal(local.name) not in self.wheels:
                self.add_all(self.make(local).requires, wanted.extras)


_Files = Path | zipfile.Path  # a folder, or the inside of a wheel


@dataclass(frozen=True)
class Read:
    distribution: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    bindings: dict[str, str]  # the canonical name by each name
    recipe: str


def read_wheel(path: Path) -> Read:
    """What a wheel says.

    Raises:
        EnvironmentBuildError: it is damaged.
    """
    with damage_told(path):
        refuse_no_file(path)
        with zipfile.ZipFile(path) as archive:
            return read_wheels(zipfile.Path(archive))


def read_wheels(files: _Files, name: str | None = None) -> Read:
    """A distribution's metadata and recipe, from its files; fails in any way where they are damaged."""
    for entry in files.iterdir():
        if not entry.name.endswith(".dist-info"):
            continue
        metadata = message_from_string(entry.joinpath("METADATA").read_text("utf-8"))
        if name is not None and normal(metadata["Name"] or "") != name:
            continue
        return _with_recipe(files, entry, metadata)
    raise ValueError("it holds no distribution")


def _with_recipe(files: _Files, info: _Files, metadata: object) -> Read:
    from email.message import Message

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from lollms_modalities.entry_points.groups import target_of

    assert isinstance(metadata, Message)
    points = info.joinpath("entry_points.txt")
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in Metadata(points.read_text("utf-8") if points.is_file() else "").entry_points:
        if is_offer(entry.group, metadata["Name"] or ""):
            groups.setdefault((entry.group, target_of(entry.value)), []).append(entry.name)
    recipe = ""
    for _, target in groups:
        path = files.joinpath(target.partition(":")[0].partition(".")[0], FILE)
        if path.is_file():
            recipe = path.read_text("utf-8")
            break
    # As everywhere, the canonical name is the shortest, then the first by alphabet.
    bindings = {name: min(names, key=lambda n: (len(n), n)) for names in groups.values() for name in names}
    requires_python, requires = metadata.get("Requires-Python", ""), tuple(metadata.get_all("Requires-Dist") or ())
    SpecifierSet(requires_python)
    for text in requires:
        Requirement(text)
    return Read(*identity(metadata["Name"], metadata["Version"]), requires_python, requires, bindings, recipe)


class Metadata(Distribution):
    """Entry points as a text has them."""

    def __init__(self, entry_points: str) -> None:
        self._text = entry_points

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


def is_offer(group: str, distribution: str) -> bool:
    """Whether what a distribution has in a group wants an environment: a binding, or a place that is not the core's."""
    from lollms_modalities.entry_points.groups import MODALITIES, PLACES, group_of

    return group in map(group_of, MODALITIES) or (group == PLACES and normal(distribution) != CORE)


def name_of(requirement: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).name
    except InvalidRequirement as exc:
        said = str(exc).partition("\n")[0]  # what follows points at a place in it
        raise BindingNotFoundError(
            f"{requirement!r} is neither the name of a binding nor a requirement: {said}.",
            hint="Give a name such as 'bark', or a requirement such as 'lollms-bark>=2'.",
            name=requirement,
        ) from exc
