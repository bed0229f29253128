"""Where the distribution of a binding comes from, and its recipe, read before anything is installed.

Looked for in this order: a folder that was named, what is installed here, the extras of ``lollms-client``; else the
name is taken as a requirement. A project on this machine is built, a wheel is taken as it is.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_string
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lollms_modalities import __version__
from lollms_modalities.errors import BindingNotFoundError, EnvironmentBuildError, LollmsError
from lollms_modalities.isolation.installers import Installer
from lollms_modalities.isolation.recipe import FILE, Recipe, parse_recipe

_CORE = "lollms-modalities-core"
_CLIENT = "lollms-client"


@dataclass(frozen=True)
class Found:
    """A distribution that was found.

    Attributes:
        binding: the canonical name of what it offers, or the distribution's where it offers several.
        distribution, version: who it is.
        requires_python: the Pythons that it says it runs on.
        extras: of it, all that are wanted.
        requirement: what installs it, without the extras, where it is no wheel of this machine.
        wheels: those of this machine that are to be installed, by the distribution's name.
        recipe: what it says of its environment; ``recipe_text`` as it stands there.
    """

    binding: str
    distribution: str
    version: str
    requires_python: str
    extras: tuple[str, ...]
    requirement: str
    wheels: dict[str, Path]
    recipe: Recipe
    recipe_text: str

    @property
    def requirements(self) -> list[str]:
        """What is to be installed."""
        tail = f"[{','.join(self.extras)}]" if self.extras else ""
        own = normal(self.distribution)
        lines = [] if own in self.wheels else [_with_extras(self.requirement, tail)]
        for name, wheel in self.wheels.items():
            lines.append(f"{name}{tail if name == own else ''} @ {wheel.as_uri()}")
        if _CORE not in self.wheels:
            # Both sides of a worker speak the same.
            lines.append(f"{_CORE}=={__version__}")
        return lines + list(self.recipe.requirements)


def find(
    name: str, installer: Installer, work: Path, *, extras: Iterable[str] = (), source: str = "", python: str
) -> Found:  # fmt: skip
    """Find the distribution that offers a binding, and read its recipe.

    Args:
        name: of the binding or the distribution, or a requirement.
        work: a folder for what is built.
        extras: of the distribution, besides those that its recipe names.
        source: a folder to look in.
        python: the interpreter that the distribution is fetched for.

    Raises:
        BindingNotFoundError: the folder does not hold it, or what was found offers no binding.
        EnvironmentBuildError: it is damaged, or its recipe cannot be read.
        InstallerFailed: it could not be built or fetched.
    """
    own: _Local | str
    if source:
        here, damaged = _in_folder(Path(source))
        own, found_extras = _offers(name, here, Path(source), damaged), _client_extras().get(normal(name), ("", ()))[1]
        local = here if any(normal(one.name) == _CORE for one in here) else [*here, *_installed_from_folders([_CORE])]
    else:
        local = _installed_from_folders()
        own, found_extras = _known(name, local)
    builder = _Builder(installer, work, local)
    if isinstance(own, _Local):
        requirement, read = "", builder.make(own)
    else:
        requirement = own
        target = work / "fetched"
        installer.fetch(requirement, target, python)
        with _damage_told(requirement):
            read = _read(target, normal(_name_of(requirement)))
    recipe = parse_recipe(read.recipe, f"of {read.distribution} {read.version}")
    wanted = tuple(sorted({*found_extras, *recipe.extras, *extras}))
    builder.add_all(read.requires, wanted)
    return Found(
        _binding_name(name, read), read.distribution, read.version, read.requires_python, wanted, requirement,
        builder.wheels, recipe, read.recipe,
    )  # fmt: skip


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


# --- where ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Local:
    """A distribution on this machine: a wheel, or a project's folder."""

    name: str
    version: str
    path: Path
    offers: frozenset[str]

    def is_called(self, name: str) -> bool:
        return normal(name) in {normal(offered) for offered in (*self.offers, self.name)}


def _in_folder(folder: Path) -> tuple[list[_Local], list[EnvironmentBuildError]]:
    """The distributions in a folder: its projects, else its wheels; and what is wrong with those that are damaged."""
    if not os.path.isdir(folder):  # which is also said of what can be no path
        raise EnvironmentBuildError(
            f"{str(folder)[:300]!r} is no folder.",
            hint="--from takes a checkout or a folder of wheels.",
            reason="requirements",
        )
    projects = [p for depth in ("", "*/", "*/*/") for p in sorted(folder.glob(f"{depth}pyproject.toml"))]
    damaged: list[EnvironmentBuildError] = []

    def readable(read: Callable[[Path], _Local | None], paths: Iterable[Path]) -> list[_Local]:
        found = []
        for path in paths:
            try:
                local = read(path)
            except EnvironmentBuildError as exc:
                damaged.append(exc)  # which hides no other
            else:
                found += [local] if local is not None else []
        return found

    found = readable(lambda path: _project(path.parent), projects) or readable(_wheel, sorted(folder.glob("*.whl")))
    return found, damaged


def _project(folder: Path) -> _Local | None:
    """A project with static metadata, as all of ours have; None where it has no name."""
    path = folder / "pyproject.toml"
    with _damage_told(path):
        _refuse_no_file(path)
        project = tomllib.loads(path.read_text("utf-8")).get("project", {})
        if "name" not in project:
            return None
        groups = project.get("entry-points", {}).items()
        offers = frozenset(str(name) for group, entries in groups if _is_ours(group) for name in dict(entries))
        return _Local(*_identity(project["name"], project.get("version", "0")), folder.absolute(), offers)


def _wheel(path: Path) -> _Local:
    read = _read_wheel(path)
    return _Local(read.distribution, read.version, path.absolute(), frozenset(read.bindings))


def _identity(name: object, version: object) -> tuple[str, str]:
    """Name and version, if they can be."""
    from packaging.version import Version

    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", name, re.ASCII):
        raise ValueError(f"its name is {name!r:.80}")
    if not isinstance(version, str):
        raise ValueError(f"its version is {version!r:.80}")
    Version(version)
    return name, version


def _refuse_no_file(path: Path) -> None:
    # Opening a FIFO waits for who writes to it; a folder or nothing says of itself what it is.
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError("it is no file")


@contextmanager
def _damage_told(path: object) -> Iterator[None]:
    """What is damaged fails in any way, so that anything that fails in the block says that ``path`` is damaged."""
    try:
        yield
    except LollmsError:
        raise
    except Exception as exc:
        what = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__}: {exc}"
        raise EnvironmentBuildError(
            f"{path} cannot be read: {what[:300]}.",
            hint="Build or fetch it again, or take it out of the folder.",
            reason="requirements",
        ) from exc


def _offers(name: str, local: Iterable[_Local], folder: Path, damaged: list[EnvironmentBuildError]) -> _Local:
    there = _newest_first(local)
    for found in there:
        if found.is_called(name):
            return found
    if damaged:
        # It may be one of these.
        what = " ".join(error.message for error in damaged[:3])
        more = f" So it is with {len(damaged) - 3} more." if len(damaged) > 3 else ""
        raise EnvironmentBuildError(
            f"No distribution in {folder} that can be read offers a binding {name!r}. {what}{more}",
            hint=damaged[0].hint,
            reason="requirements",
        ) from damaged[0]
    offered = sorted(offered for found in there for offered in found.offers)
    close = difflib.get_close_matches(name, offered, n=1)
    told = f"It offers {', '.join(offered)}." if offered else "It offers none."
    raise BindingNotFoundError(
        f"No distribution in {folder} offers a binding {name!r}. {told}",
        hint=f"Did you mean {close[0]!r}?" if close else "Give the folder that does, or leave --from out.",
        name=name,
    )


def _known(name: str, local: list[_Local]) -> tuple[_Local | str, tuple[str, ...]]:
    """From what is installed here or from the extras of the client; else the name itself is a requirement."""
    from lollms_modalities.discovery import MODALITIES, find_bindings

    refs = [ref for modality in MODALITIES for ref in find_bindings(modality) if ref.place == "installed"]
    for ref in refs:
        if normal(name) in {normal(n) for n in (*ref.names, ref.distribution)}:
            extras = _client_extras().get(normal(ref.name), ("", ()))[1]
            return _fitting(ref.distribution, local) or f"{ref.distribution}=={ref.version}", extras
    extra = _client_extras().get(normal(name))
    if extra is not None:
        return _fitting(extra[0], local) or extra[0], extra[1]
    known = sorted({*_client_extras(), *(n for ref in refs for n in ref.names)})
    close = difflib.get_close_matches(normal(name), known, n=1)
    if close:
        raise BindingNotFoundError(
            f"No binding {name!r} is known.", hint=f"Did you mean {close[0]!r}? Else give a requirement.", name=name
        )
    _name_of(name)
    return name, ()


def _newest_first(local: Iterable[_Local]) -> list[_Local]:
    from packaging.version import Version

    return sorted(local, key=lambda one: Version(one.version), reverse=True)


def _fitting(requirement: str, local: Iterable[_Local]) -> _Local | None:
    """The newest on this machine that fulfils a requirement."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    for one in _newest_first(local):
        if normal(one.name) == normal(wanted.name) and wanted.specifier.contains(one.version, prereleases=True):
            return one
    return None


def _client_extras() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What each extra of the client installs: the requirement without its extras, and these."""
    from packaging.requirements import Requirement

    try:
        requires = distribution(_CLIENT).requires or []
    except PackageNotFoundError:
        return {}
    found = {}
    for text in requires:
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        name, _, extra = marker.partition("extra == ")
        if extra and not name.strip() and normal(requirement.name) != _CLIENT:
            found[normal(extra.strip("\"'"))] = (
                f"{requirement.name}{requirement.specifier}",
                tuple(sorted(requirement.extras)),
            )
    return found


def _installed_from_folders(names: Iterable[str] | None = None) -> list[_Local]:
    """Distributions of ours that are installed here from a project's folder or a wheel that is still there."""
    from lollms_modalities.discovery import MODALITIES, find_bindings

    if names is None:
        refs = [ref for modality in MODALITIES for ref in find_bindings(modality) if ref.place == "installed"]
        names = {_CORE, *(ref.distribution for ref in refs)}
    found = []
    for name in sorted(names):
        path = _came_from(name)
        try:
            local = None if path is None else _project(path) if path.is_dir() else _wheel(path)
        except EnvironmentBuildError:
            continue  # it is taken from where others find it
        if local is not None and normal(local.name) == normal(name):
            found.append(local)
    return found


def _came_from(name: str) -> Path | None:
    import json

    try:
        text = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    try:
        url = urlsplit(json.loads(text)["url"]) if text else None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None  # damaged: it does not tell
    if url is None or url.scheme != "file":
        return None
    path = Path(unquote(url.path))
    return path if path.is_dir() or (path.suffix == ".whl" and path.is_file()) else None


class _Builder:
    """Makes wheels of what is on this machine."""

    def __init__(self, installer: Installer, work: Path, local: list[_Local]) -> None:
        self._installer = installer
        self._work = work
        self._local = local
        self.wheels: dict[str, Path] = {}

    def make(self, local: _Local) -> _Read:
        """Make its wheel and read that."""
        wheels = self._work / "wheels"
        wheels.mkdir(exist_ok=True)
        built = local.path
        if local.path.is_dir():
            built = self._installer.build(local.path, self._work / "built" / normal(local.name))
        target = wheels / built.name
        target.write_bytes(built.read_bytes())
        self.wheels[normal(local.name)] = target
        return _read_wheel(target)

    def add_all(self, requirements: Iterable[str], extras: Iterable[str] = ()) -> None:
        """Make the wheels of what is required, with these extras, where it is on this machine."""
        from packaging.requirements import Requirement

        for text in requirements:
            wanted = Requirement(text)
            asked = [{"extra": extra} for extra in ("", *extras)]
            if wanted.marker is not None and not any(map(wanted.marker.evaluate, asked)):
                continue
            local = _fitting(f"{wanted.name}{wanted.specifier}", self._local)
            if local is not None and normal(local.name) not in self.wheels:
                self.add_all(self.make(local).requires, wanted.extras)


# --- what it says ---------------------------------------------------------------------------------------------------


_Files = Path | zipfile.Path  # a folder, or the inside of a wheel


@dataclass(frozen=True)
class _Read:
    distribution: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    bindings: dict[str, str]  # the canonical name by each name
    recipe: str


def _read_wheel(path: Path) -> _Read:
    """What a wheel says.

    Raises:
        EnvironmentBuildError: it is damaged.
    """
    with _damage_told(path):
        _refuse_no_file(path)
        with zipfile.ZipFile(path) as archive:
            return _read(zipfile.Path(archive))


def _read(files: _Files, name: str | None = None) -> _Read:
    """A distribution's metadata and recipe, from its files; fails in any way where they are damaged."""
    for entry in files.iterdir():
        if not entry.name.endswith(".dist-info"):
            continue
        metadata = message_from_string(entry.joinpath("METADATA").read_text("utf-8"))
        if name is not None and normal(metadata["Name"] or "") != name:
            continue
        return _with_recipe(files, entry, metadata)
    raise ValueError("it holds no distribution")


def _with_recipe(files: _Files, info: _Files, metadata: object) -> _Read:
    from email.message import Message

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from lollms_modalities.discovery import target_of

    assert isinstance(metadata, Message)
    points = info.joinpath("entry_points.txt")
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in _Metadata(points.read_text("utf-8") if points.is_file() else "").entry_points:
        if _is_ours(entry.group):
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
    return _Read(*_identity(metadata["Name"], metadata["Version"]), requires_python, requires, bindings, recipe)


class _Metadata(Distribution):
    """Entry points as a text has them."""

    def __init__(self, entry_points: str) -> None:
        self._text = entry_points

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: object) -> Path:
        raise NotImplementedError


def _binding_name(asked: str, read: _Read) -> str:
    if not read.bindings:
        raise BindingNotFoundError(
            f"{read.distribution} {read.version} offers no binding.",
            hint="Give the name of a binding, or a distribution that offers one.",
            name=asked,
        )
    for name, canonical in read.bindings.items():
        if normal(name) == normal(asked):
            return canonical
    offered = set(read.bindings.values())
    return offered.pop() if len(offered) == 1 else read.distribution


def _is_ours(group: str) -> bool:
    from lollms_modalities.discovery import MODALITIES, group_of

    return group in map(group_of, MODALITIES)


def _name_of(requirement: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).name
    except InvalidRequirement as exc:
        raise BindingNotFoundError(
            f"{requirement!r} is neither the name of a binding nor a requirement: {exc}",
            hint="Give a name such as 'bark', or a requirement such as 'lollms-bark>=2'.",
            name=requirement,
        ) from exc


def _with_extras(requirement: str, tail: str) -> str:
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    if tail:
        parsed.extras |= set(tail[1:-1].split(","))
    return str(parsed)
