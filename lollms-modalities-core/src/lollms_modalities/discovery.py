"""Which bindings there are: read from the metadata of installed distributions, importing none of them.

A binding is an entry point in its modality's group. What is read is remembered for the process, until ``refresh()``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.errors import BindingBrokenError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from lollms_modalities.binding import Origin

MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
# A name that is claimed in several is looked for in this order.
PLACES = ("installed", "directory", "environment")


class _Memory:
    """What was read of each place, whole. ``refresh`` puts a new one in its place and leaves this to those who use it.

    There is no lock: of several that read a place at once all but the first have worked for nothing.
    """

    def __init__(self) -> None:
        self._read: dict[str, dict[str, list[BindingRef]]] = {}

    def of(self, place: str, read: Callable[[], dict[str, list[BindingRef]]]) -> dict[str, list[BindingRef]]:
        found = self._read.get(place)
        return found if found is not None else self._read.setdefault(place, read())


_memory = _Memory()


def group_of(modality: str) -> str:
    """The entry-point group of a modality's bindings."""
    return f"lollms_client.{modality}_bindings"


def target_of(value: str) -> str:
    """What an entry point names, without spaces and without extras, as in ``module:Class [extra]``: old and no more
    than a word about what to install."""
    return "".join(value.partition("[")[0].split())


class _Told:
    """The metadata of a distribution, read once for all its bindings."""

    __slots__ = ("_dist", "_metadata")

    def __init__(self, dist: Distribution | None) -> None:
        self._dist = dist
        self._metadata: Any = None

    def __getitem__(self, key: str) -> str:
        try:
            if self._metadata is None and self._dist is not None:
                self._metadata = self._dist.metadata
            return str((self._metadata or {}).get(key) or "")
        except Exception:  # metadata that cannot be read hides no other binding
            return ""

    @property
    def requires(self) -> tuple[str, ...]:
        try:
            found = self._metadata.get_all("Requires-Dist") if self["Name"] else None
            # Old metadata has them in another file.
            return tuple(found or (self._dist and self._dist.requires) or ())
        except Exception:  # what that means is found out when it is loaded
            return ()


class BindingRef:
    """One binding that a distribution offers, known by metadata only.

    Attributes:
        name: the canonical name: the shortest of its names, of these the first by alphabet.
        aliases: its other names.
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        target: what the entry point names, such as "lollms_piper:PiperTTSBinding".
        place: "installed", "directory" or "environment".
        directory: the extra folder that it was found in, or None.
        environment: name of the environment that holds it, or None.
    """

    __slots__ = ("_told", "aliases", "directory", "environment", "modality", "name", "place", "target")

    def __init__(
        self, modality: str, names: Iterable[str], target: str, told: _Told, directory: str | None = None,
        environment: str | None = None,
    ) -> None:  # fmt: skip
        self.modality = modality
        self.name, *aliases = sorted(set(names), key=lambda n: (len(n), n))
        self.aliases = tuple(aliases)
        self.target = target
        self.directory = directory
        self.environment = environment
        self.place = "environment" if environment else "installed" if directory is None else "directory"
        self._told = told

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the canonical one first."""
        return (self.name, *self.aliases)

    @property
    def distribution(self) -> str:
        """Name of the distribution; "" where its metadata does not tell."""
        return self._told["Name"]

    @property
    def version(self) -> str:
        """Version of the distribution; "" where its metadata does not tell."""
        return self._told["Version"]

    @property
    def origin(self) -> Origin:
        """What the provenance of the binding's results says of it."""
        from lollms_modalities.binding import Origin

        return Origin(self.name, self.distribution, self.version)

    @property
    def summary(self) -> str:
        """The distribution's one line about itself."""
        return self._told["Summary"]

    @property
    def requires(self) -> tuple[str, ...]:
        """What the distribution requires, as its metadata says it."""
        return self._told.requires

    def __repr__(self) -> str:
        return f"<BindingRef {self.modality}:{self.name} {self.target} of {self.distribution} {self.version}>"


def find_bindings(modality: str, directory: str | None = None) -> list[BindingRef]:
    """The bindings of a modality; ``candidates`` tells which of them a name means.

    Args:
        modality: one of ``MODALITIES``.
        directory: an extra folder of installed distributions, looked at after the installed ones. One that does not
            exist, or holds none, is empty.
    """
    memory = _memory
    installed = memory.of("installed", lambda: _read(read_entry_points(*map(group_of, MODALITIES)), None))
    found = list(installed[modality])
    if directory is not None:
        there = memory.of(f"directory {directory}", lambda: _read(_entry_points_in(directory), directory))
        have = {(ref.distribution, ref.target) for ref in found}
        # Once the folder is on sys.path its distributions are seen as installed too.
        found += [r for r in there[modality] if (r.distribution, r.target) not in have]
    return found + memory.of("environments", _in_environments)[modality]


def _in_environments() -> dict[str, list[BindingRef]]:
    from lollms_modalities.isolation.environments import list_environments

    found: dict[str, list[BindingRef]] = {modality: [] for modality in MODALITIES}
    for environment in list_environments():
        for site in environment.site_packages:
            for modality, refs in _read(_entry_points_in(site), None, environment.name).items():
                found[modality] += refs
    return found


def refresh() -> None:
    """Forget what was read: something was installed or removed."""
    global _memory
    import importlib

    importlib.invalidate_caches()
    _memory = _Memory()


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
        return [entry for entry in _entry_points_in(None) if entry.group in groups]


def _entry_points_in(directory: str | None) -> Iterator[EntryPoint]:
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


def _read(
    entry_points: Iterable[EntryPoint], directory: str | None, environment: str | None = None
) -> dict[str, list[BindingRef]]:
    groups = {group_of(modality): modality for modality in MODALITIES}
    names: dict[tuple[str, str, int], list[str]] = {}
    dists: dict[int, tuple[Any, _Told]] = {}
    for entry in entry_points:
        modality = groups.get(entry.group)
        if modality is None:
            continue
        dist = entry.dist
        dists.setdefault(id(dist), (dist, _Told(dist)))  # the distribution too, so that its id stays its own
        names.setdefault((modality, target_of(entry.value), id(dist)), []).append(entry.name)
    found: dict[str, list[BindingRef]] = {modality: [] for modality in MODALITIES}
    for (modality, target, dist_id), own in names.items():
        found[modality].append(BindingRef(modality, own, target, dists[dist_id][1], directory, environment))
    for refs in found.values():
        # By what the entry points say alone: a distribution's name is in another file, which listing need not read.
        refs.sort(key=lambda ref: (ref.name, ref.target))
    return found


def candidates(refs: Iterable[BindingRef], name: str) -> list[BindingRef]:
    """The bindings that claim ``name``, the one that is used first: by place, then by name of the distribution.

    Of several environments that have it, the one that is called like it comes first.
    """
    found = [ref for ref in refs if name in ref.names]
    if len(found) > 1:
        found.sort(
            key=lambda ref: (
                PLACES.index(ref.place), ref.distribution.lower(), ref.target, ref.environment not in ref.names
            )
        )  # fmt: skip
    return found


def put_on_path(ref: BindingRef) -> None:
    """Make the modules of a binding from an extra folder importable, after all others."""
    if ref.directory is not None and ref.directory not in sys.path:
        sys.path.append(ref.directory)
