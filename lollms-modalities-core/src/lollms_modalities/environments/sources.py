"""Where the distribution comes from that offers a binding, or a place: installed, a folder, an index."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lollms_modalities.environments.local import (
    CORE,
    Local,
    damage_told,
    fitting,
    identity,
    newest_first,
    normal,
    refuse_no_file,
)
from lollms_modalities.environments.recipe import parse_recipe
from lollms_modalities.environments.wheels import Builder, is_offer, name_of, read_wheel, read_wheels
from lollms_modalities.errors import BindingNotFoundError, EnvironmentBuildError
from lollms_modalities.version import __version__

if TYPE_CHECKING:
    from lollms_modalities.environments.installers import Installer
    from lollms_modalities.environments.recipe import Recipe
    from lollms_modalities.environments.wheels import Read


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
        if CORE not in self.wheels:
            # Both sides of a worker speak the same.
            lines.append(f"{CORE}=={__version__}")
        return lines + list(self.recipe.requirements)


def find(
    name: str, installer: Installer, work: Path, *, extras: Iterable[str] = (), source: str = "", python: str,
    build: bool = False,
) -> Found:  # fmt: skip
    """Find the distribution that offers a binding, and read its recipe.

    Args:
        name: of the binding or the distribution, or a requirement.
        work: a folder for what is built.
        extras: of the distribution, besides those that its recipe names.
        source: a folder to look in.
        python: the interpreter that the distribution is fetched for.
        build: what is fetched may come as source, whose code runs when it is built.

    Raises:
        BindingNotFoundError: the folder does not hold it, or what was found offers no binding.
        EnvironmentBuildError: it is damaged, or its recipe cannot be read.
        InstallerFailed: it could not be built or fetched.
    """
    own: Local | str
    if source:
        here, damaged = _in_folder(Path(source))
        own, found_extras = _offers(name, here, Path(source), damaged), _client_extras().get(normal(name), ("", ()))[1]
        local = here if any(normal(one.name) == CORE for one in here) else [*here, *_installed_from_folders([CORE])]
    else:
        local = _installed_from_folders()
        own, found_extras = _known(name, local)
    builder = Builder(installer, work, local)
    if isinstance(own, Local):
        requirement, read = "", builder.make(own)
    else:
        requirement = own
        target = work / "fetched"
        _fetch(installer, requirement, target, python, build=build)
        with damage_told(requirement):
            read = read_wheels(target, normal(name_of(requirement)))
    recipe = parse_recipe(read.recipe, f"of {read.distribution} {read.version}")
    wanted = tuple(sorted({*found_extras, *recipe.extras, *extras}))
    builder.add_all(read.requires, wanted)
    return Found(
        _binding_name(name, read), read.distribution, read.version, read.requires_python, wanted, requirement,
        builder.wheels, recipe, read.recipe,
    )  # fmt: skip


# As uv and pip say that there is no wheel.
_NO_WHEEL = ("no usable wheels", "has no wheels", "no wheels with", "building source distributions is disabled")


def _fetch(installer: Installer, requirement: str, target: Path, python: str, *, build: bool) -> None:
    """Fetch a wheel, whose files say what it offers; a source only where that was asked for."""
    from packaging.requirements import Requirement

    from lollms_modalities.environments.installers import InstallerFailed

    only_source = f"{requirement} comes as source alone, which runs its authors' code to be built"
    url = Requirement(requirement).url
    # Installers build what an address names, whatever they are told.
    failed = None if build or url is None or url.partition("#")[0].endswith(".whl") else only_source
    output = ""
    if failed is None:
        try:
            return installer.fetch(requirement, target, python, build=build)
        except InstallerFailed as exc:
            output = exc.output[-8000:]
            said = " ".join(output.split()).lower()
            if build or not any(mark in said for mark in (*_NO_WHEEL, "no matching distribution")):
                raise
            failed = only_source if any(mark in said for mark in _NO_WHEEL) else f"No wheel of {requirement} was found"
    raise EnvironmentBuildError(
        f"{failed}, and whether it offers a binding is not known. Nothing of it was run.",
        hint="Look at it; then --allow-build builds a source.",
        reason="build",
        output=output,
    )


def _in_folder(folder: Path) -> tuple[list[Local], list[EnvironmentBuildError]]:
    """The distributions in a folder: its projects, else its wheels; and what is wrong with those that are damaged."""
    if not os.path.isdir(folder):  # which is also said of what can be no path
        raise EnvironmentBuildError(
            f"{str(folder)[:300]!r} is no folder.",
            hint="--from takes a checkout or a folder of wheels.",
            reason="requirements",
        )
    projects = [p for depth in ("", "*/", "*/*/") for p in sorted(folder.glob(f"{depth}pyproject.toml"))]
    damaged: list[EnvironmentBuildError] = []

    def readable(read: Callable[[Path], Local | None], paths: Iterable[Path]) -> list[Local]:
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


def _project(folder: Path) -> Local | None:
    """A project with static metadata, as all of ours have; None where it has no name."""
    path = folder / "pyproject.toml"
    with damage_told(path):
        refuse_no_file(path)
        project = tomllib.loads(path.read_text("utf-8")).get("project", {})
        if "name" not in project:
            return None
        groups = project.get("entry-points", {}).items()
        offers = frozenset(
            str(name) for group, entries in groups if is_offer(group, project["name"]) for name in dict(entries)
        )
        return Local(*identity(project["name"], project.get("version", "0")), folder.absolute(), offers)


def _wheel(path: Path) -> Local:
    read = read_wheel(path)
    return Local(read.distribution, read.version, path.absolute(), frozenset(read.bindings))


def _offers(name: str, local: Iterable[Local], folder: Path, damaged: list[EnvironmentBuildError]) -> Local:
    there = newest_first(local)
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


def _known(name: str, local: list[Local]) -> tuple[Local | str, tuple[str, ...]]:
    """From what is installed here or from the extras of the client; else the name itself is a requirement."""
    installed = list(_installed())
    for names, owner, version in installed:
        if normal(name) in {normal(n) for n in (*names, owner)}:
            extras = _client_extras().get(normal(names[0]), ("", ()))[1]
            return fitting(owner, local) or f"{owner}=={version}", extras
    extra = _client_extras().get(normal(name))
    if extra is not None:
        return fitting(extra[0], local) or extra[0], extra[1]
    known = sorted({*_client_extras(), *(n for names, _, _ in installed for n in names)})
    close = difflib.get_close_matches(normal(name), known, n=1)
    if close:
        raise BindingNotFoundError(
            f"No binding {name!r} is known.", hint=f"Did you mean {close[0]!r}? Else give a requirement.", name=name
        )
    name_of(name)
    return name, ()


def _installed() -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The bindings that are installed here, and the places that need an environment: names, distribution, version."""
    from lollms_modalities.entry_points.groups import MODALITIES, PLACES
    from lollms_modalities.entry_points.metadata import read_entry_points
    from lollms_modalities.entry_points.refs import installed_bindings, offered_places

    for modality in MODALITIES:
        for ref in installed_bindings(modality):
            yield ref.names, ref.distribution, ref.version
    for name, dist in offered_places(read_entry_points(PLACES)):
        yield (name,), dist.name, dist.version


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


def _installed_from_folders(names: Iterable[str] | None = None) -> list[Local]:
    """Distributions of ours that are installed here from a project's folder or a wheel that is still there."""
    if names is None:
        names = {CORE, *(owner for _, owner, _ in _installed())}
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


def _binding_name(asked: str, read: Read) -> str:
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


def _with_extras(requirement: str, tail: str) -> str:
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    if tail:
        parsed.extras |= set(tail[1:-1].split(","))
    return str(parsed)
