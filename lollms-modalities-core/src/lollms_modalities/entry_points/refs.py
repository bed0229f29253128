"""One binding that a distribution offers, known by metadata only.

A binding is an entry point in its modality's group. What is read is remembered for the process, until ``refresh()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities.entry_points.groups import MODALITIES, PLACES, group_of, target_of
from lollms_modalities.entry_points.metadata import name_of, read_entry_points

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint


class Origin(NamedTuple):
    """Where a binding class comes from: its canonical name, its distribution and that one's version."""

    name: str
    distribution: str
    version: str


# A name that is claimed at several is looked for in this order.
ORIGINS = ("installed", "directory", "environment")


class Memory:
    """What was read of each place, whole. ``refresh`` puts a new one in its place and leaves this to those who use it.

    There is no lock: of several that read a place at once all but the first have worked for nothing.
    """

    def __init__(self) -> None:
        self._read: dict[str, dict[str, list[BindingRef]]] = {}

    def of(self, place: str, read: Callable[[], dict[str, list[BindingRef]]]) -> dict[str, list[BindingRef]]:
        """What ``read`` gives of a place; it is asked once."""
        found = self._read.get(place)
        return found if found is not None else self._read.setdefault(place, read())


_memory = Memory()


def memory() -> Memory:
    """What is remembered now."""
    return _memory


def installed_bindings(modality: str) -> list[BindingRef]:
    """The bindings of a modality that are installed where this program runs."""
    return list(
        _memory.of("installed", lambda: read_refs(read_entry_points(*map(group_of, MODALITIES)), None))[modality]
    )


def offered_places(entries: Iterable[EntryPoint]) -> Iterator[tuple[str, Distribution]]:
    """The names of places among entry points, and whose they are, besides those of the core."""
    for entry in entries:
        if entry.group == PLACES and entry.dist is not None and name_of(entry.dist) != "lollms-modalities-core":
            yield entry.name, entry.dist


class Told:
    """The metadata of a distribution, read once for all its bindings. A key that it lacks is ""."""

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
        """What the distribution requires."""
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
        origin: "installed", "directory" or "environment": where it was found.
        directory: the extra folder that it was found in, or None.
        environment: name of the environment that holds it, or None.
    """

    __slots__ = ("_told", "aliases", "directory", "environment", "modality", "name", "origin", "target")

    def __init__(
        self, modality: str, names: Iterable[str], target: str, told: Told, directory: str | None = None,
        environment: str | None = None,
    ) -> None:  # fmt: skip
        self.modality = modality
        self.name, *aliases = sorted(set(names), key=lambda n: (len(n), n))
        self.aliases = tuple(aliases)
        self.target = target
        self.directory = directory
        self.environment = environment
        self.origin = "environment" if environment else "installed" if directory is None else "directory"
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
    def identity(self) -> Origin:
        """What the provenance of the binding's results says of it."""
        from lollms_modalities.entry_points.refs import Origin

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


def refresh() -> None:
    """Forget what was read: something was installed or removed."""
    global _memory
    import importlib

    importlib.invalidate_caches()
    _memory = Memory()


def read_refs(
    entry_points: Iterable[EntryPoint], directory: str | None, environment: str | None = None
) -> dict[str, list[BindingRef]]:
    """The bindings among some entry points, by modality."""
    groups = {group_of(modality): modality for modality in MODALITIES}
    names: dict[tuple[str, str, int], list[str]] = {}
    dists: dict[int, tuple[Any, Told]] = {}
    for entry in entry_points:
        modality = groups.get(entry.group)
        if modality is None:
            continue
        dist = entry.dist
        dists.setdefault(id(dist), (dist, Told(dist)))  # the distribution too, so that its id stays its own
        names.setdefault((modality, target_of(entry.value), id(dist)), []).append(entry.name)
    found: dict[str, list[BindingRef]] = {modality: [] for modality in MODALITIES}
    for (modality, target, dist_id), own in names.items():
        found[modality].append(BindingRef(modality, own, target, dists[dist_id][1], directory, environment))
    for refs in found.values():
        # By what the entry points say alone: a distribution's name is in another file, which listing need not read.
        refs.sort(key=lambda ref: (ref.name, ref.target))
    return found
