"""The entry points of installed distributions, read from their metadata without importing any."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.entry_points.groups import MODALITIES, group_of
from lollms_modalities.errors import BindingBrokenError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint
    from pathlib import Path


class _AnyOf(str):
    """A string that is equal to each of several, so that one reading of the metadata serves all our groups."""

    _names: frozenset[str]

    def __new__(cls, names: Iterable[str]) -> Self:
        self = super().__new__(cls)
        self._names = frozenset(names)
        return self

    def __eq__(self, other: object) -> bool:
        return other in self._names

    __hash__ = str.__hash__


def read_entry_points(*groups: str) -> list[EntryPoint]:
    """The entry points of some groups. A distribution whose metadata cannot be read is logged and hides no other."""
    from importlib.metadata import entry_points

    try:
        return list(entry_points(group=_AnyOf(groups)))
    except Exception:
        return [entry for entry in entry_points_in(None) if entry.group in groups]


def entry_points_in(directory: str | None) -> Iterator[EntryPoint]:
    """All entry points of the distributions in a folder, or on ``sys.path``."""
    from importlib.metadata import distributions

    found = distributions() if directory is None else distributions(path=[directory])
    seen: set[str | None] = set()
    for dist in found:
        try:
            name = name_of(dist)
            if name is None or name not in seen:  # those without a name are not one and the same
                seen.add(name)
                yield from dist.entry_points
        except Exception as exc:
            _log_unreadable(dist, exc)


def site_packages_of(environment: Path) -> list[str]:
    """Where the distributions of a virtual environment lie."""
    places = [*environment.glob("lib/python3*/site-packages"), *environment.glob("Lib/site-packages")]
    return [str(place) for place in sorted(places)]


def name_of(dist: Distribution) -> str | None:
    """What a distribution's metadata calls it; None where it does not tell."""
    metadata: Any = dist.metadata
    # By get: [] warns where there is none, and newer Pythons give no metadata at all where there is no file.
    return None if metadata is None else metadata.get("Name")


def damaged(directory: str | None = None) -> list[BindingBrokenError]:
    """The distributions, of a folder or of ``sys.path``, that may offer bindings and whose metadata cannot be read.

    Each error has ``path``, the folder of the metadata. What can be read of them is listed nevertheless.
    """
    found = []
    for folder in [directory] if directory is not None else sys.path:
        try:
            names = sorted(n for n in os.listdir(folder or ".") if n.endswith((".dist-info", ".egg-info")))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            reason = _damage(path)
            if reason is not None:
                found.append(
                    BindingBrokenError(
                        f"The metadata in {path} cannot be read: {reason}.",
                        hint=f"Install {name.partition('-')[0]} again, or remove that folder.",
                        path=path,
                    )
                )
    return found


def _damage(path: str) -> str | None:
    """What is wrong with a folder of metadata, if that may concern bindings."""
    try:
        with open(os.path.join(path, "entry_points.txt"), encoding="utf-8") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None  # it has no entry points
    except OSError as exc:
        return f"entry_points.txt: {exc.strerror}"
    except UnicodeDecodeError as exc:
        return f"entry_points.txt is no text ({exc.reason} at byte {exc.start})"
    if not any(group_of(modality) in text for modality in MODALITIES):
        return None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith(("#", "[")) and "=" not in line:
            return f"line {number} of entry_points.txt is {line[:60]!r}, which is no entry point"
    from importlib.metadata import Distribution
    from pathlib import Path

    dist = Distribution.at(Path(path))
    try:
        list(dist.entry_points)
        name = name_of(dist)
    except Exception as exc:  # each version of importlib.metadata raises its own
        return f"{type(exc).__name__}: {exc}"
    return None if name else "METADATA is missing or tells no name"


def _log_unreadable(dist: Distribution, exc: Exception) -> None:
    import logging

    path = getattr(dist, "_path", dist)
    logging.getLogger(__name__).warning("The metadata of %s cannot be read: %s: %s", path, type(exc).__name__, exc)
