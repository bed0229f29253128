"""Making environments: found, resolved, filled, tried, and only then there.

A step that fails, or a call that is stopped, leaves nothing. What a killed process left is swept up by the next; what
it had resolved serves again if the same is asked for, and what it had fetched is in the installer's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lollms_modalities.call import Call, CancelToken, ProgressCallback
from lollms_modalities.errors import EnvironmentBuildError, LollmsError, UnsupportedError
from lollms_modalities.isolation import explain, store
from lollms_modalities.isolation.environments import Environment, environments_folder, find_environment
from lollms_modalities.isolation.finding import Found, find
from lollms_modalities.isolation.inspecting import Inspection, inspect
from lollms_modalities.isolation.installers import InstallerFailed, Runner, Wishes, find_installer
from lollms_modalities.isolation.recipe import Recipe, StandIn
from lollms_modalities.isolation.record import BINDINGS, WHEELS, Record, Request, read_record
from lollms_modalities.isolation.record import FILE as RECORD

_ONLY_WITH_CUDA = ("triton",)  # required by some that run without it, and large
_BUILDS = 10  # of torch that may be newer than the one for the CPU: one for each version of CUDA and the like
_A_DAY = 86400.0
Torch = Literal["auto", "cpu", "cuda"]


def create_environment(
    binding: str = "", *, name: str = "", python: str | Path = "", extras: Sequence[str] = (),
    source: str | Path = "", torch: Torch = "auto", record: str | Path | None = None,
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
        record: make it again as this record of another says (the file, or the environment's folder).
        progress, cancel, timeout: as of every call; progress comes in the stages "find", "resolve", "download ...",
            "install" and "check".

    Raises:
        BindingNotFoundError: nothing offers the binding.
        EnvironmentBuildError: it could not be made, and nothing is left of it; ``reason`` and the message say why.
        CallCancelled, CallTimeout: the call was stopped, and nothing is left.
    """
    wanted = Request(
        binding, str(python), tuple(extras), str(Path(source).expanduser().absolute()) if source else "", torch
    )
    kept = None
    if record is not None:
        kept = _kept(Path(record))
        wanted = Request(
            binding or kept.request.binding, str(python), kept.request.extras, kept.request.source, kept.request.torch
        )
    if not wanted.binding:
        raise EnvironmentBuildError("No binding was named.", hint="Give its name, or a record.", reason="recipe")
    if wanted.torch not in ("auto", "cpu", "cuda"):
        raise EnvironmentBuildError(f"torch={torch!r} is not auto, cpu or cuda.", reason="recipe")
    if name:
        store.check_name(name)
    with _calling("create_environment", progress, cancel, timeout) as call:
        return _Building(call, wanted).make(name, None if record is None else Path(record), kept)


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
        asked.source if source is None else str(Path(source).expanduser().absolute()),
        asked.torch if torch is None else torch,
    )
    with _calling("update_environment", progress, cancel, timeout) as call:
        return _Building(call, wanted, replaces=kept.name).make(kept.name, None, None)


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
    _listed_anew()


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
    found.problems.extend(_differences(environment, kept))
    return found


# --- one environment ------------------------------------------------------------------------------------------------


class _Building:
    """The making of one environment."""

    def __init__(self, call: Call, wanted: Request, replaces: str = "") -> None:
        self._call = call
        self._wanted = wanted
        self._replaces = replaces
        self._what = f"The environment for {wanted.binding!r} was not made"
        if replaces:
            self._what = f"The environment {replaces!r} was not made anew, and stays as it is"

    def make(self, name: str, record_path: Path | None, kept: Record | None) -> Environment:
        """Make it. ``kept`` is the record that is repeated, at ``record_path``."""
        try:
            room = store.Room()
        except OSError as exc:
            raise self._failed(exc) from exc
        made = False
        try:
            self._runner = Runner(self._call, room.work)
            self._installer = find_installer(self._runner)
            if kept is None or record_path is None:
                self._fill(room, name)
            else:
                self._repeat(room, name, record_path, kept)
            room.commit()
            made = True
        except InstallerFailed as exc:
            raise explain.explain(self._what, exc, room.folder.parent) from exc
        except LollmsError:
            raise  # some are OSErrors, too
        except OSError as exc:
            raise self._failed(exc) from exc
        finally:
            if not made:
                room.discard()
        with contextlib.suppress(OSError):
            store.sweep()
        _listed_anew()
        return find_environment(room.name)

    def _failed(self, exc: OSError) -> Exception:
        if explain.is_full(exc):
            return explain.no_room(self._what, environments_folder())
        return EnvironmentBuildError(
            f"{self._what}: {exc}.", hint="See to it that the folder can be written to.", reason="disk"
        )

    def _fill(self, room: store.Room, name: str) -> None:
        wanted = self._wanted
        self._call.report(0, stage="find")
        if wanted.source:
            self._installer.look_in(wanted.source)
        found = find(
            wanted.binding, self._installer, room.work, extras=wanted.extras, source=wanted.source,
            python=wanted.python or sys.executable,
        )  # fmt: skip
        room.reserve(name or found.binding, replace=bool(self._replaces))
        recipe = found.recipe
        if (recipe.overrides or recipe.exclusions) and not self._installer.can_override:
            raise EnvironmentBuildError(
                f"{self._what}: its recipe overrides or leaves out requirements of others, which pip cannot do.",
                hint="Run pip install uv, and the same again.",
                reason="installer",
            )
        python = self._make_venv(room, found)
        pins, torch_index = self._resolved(room, found, python)
        self._install(
            room,
            Record(
                room.name, wanted, found.distribution, found.version, python, tuple(_kept_pins(room, pins)),
                found.recipe_text, _torch_in(pins), torch_index,
            ),
        )  # fmt: skip

    def _repeat(self, room: store.Room, name: str, path: Path, kept: Record) -> None:
        room.reserve(name or kept.name, replace=False)
        wheels = (path if path.is_dir() else path.parent) / WHEELS
        if wheels.is_dir():
            shutil.copytree(wheels, room.work / "wheels")
        minor = ".".join(kept.python.split(".")[:2])
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        self._installer.make_environment(room.venv, self._wanted.python or (sys.executable if here == minor else minor))
        python = _version_of(room.venv)
        self._install(room, replace(kept, name=room.name, request=self._wanted, python=python))

    def _install(self, room: store.Room, plan: Record) -> None:
        """Install what the plan, the record to be, says; try it; write the record."""
        if (room.work / "wheels").is_dir():
            shutil.copytree(room.work / "wheels", room.venv / WHEELS)
        file = room.work / "pins.txt"
        wheels = (room.venv / WHEELS).as_uri()
        file.write_text("".join(pin.replace(f"@ {WHEELS}", f"@ {wheels}") + "\n" for pin in plan.pins), "utf-8")
        listener = _Listener(self._call, len(plan.pins))
        self._installer.install(room.venv, file, listener, torch_index=plan.torch_index)
        environment, recipe = Environment(room.name, room.venv), plan.parsed_recipe
        if plan.torch.endswith("+cpu"):
            _take_out(environment, recipe.cuda_files, plan.pins)
        _stand_in(environment, recipe.stand_ins)
        self._call.report(0, stage="check")
        found = inspect(environment.python, self._runner, recipe.variables, recipe.check)
        if found.problems:
            raise EnvironmentBuildError(
                f"{self._what}: all was installed, but it does not work there: {'; '.join(found.problems)}.",
                hint="Try another --python or --torch, or tell the binding's authors.",
                reason="check",
            )
        (room.venv / BINDINGS).write_text(json.dumps(found.bindings), "utf-8")
        now, installer = datetime.now(UTC).isoformat(timespec="seconds"), self._installer.version()
        replace(plan, installer=installer, created=now, seconds=round(self._call.so_far(), 1)).write(room.venv)

    # -- Python ------------------------------------------------------------------------------------------------------

    def _make_venv(self, room: store.Room, found: Found) -> str:
        """Make the virtual environment and give its Python's version."""
        from packaging.specifiers import SpecifierSet

        ranges = [text for text in (found.requires_python, found.recipe.python) if text]
        fits = SpecifierSet(",".join(ranges))
        asked = self._wanted.python
        told = f"{found.distribution} {found.version} runs on Python {fits or 'of any version'}"
        if re.fullmatch(r"3\.\d+", asked) and not any(fits.contains(f"{asked}.{patch}") for patch in (0, 99)):
            raise explain.wrong_python(self._what, f"{told}, and {asked} was asked for.")
        here = ".".join(map(str, sys.version_info[:3]))
        self._installer.make_environment(
            room.venv, asked or (sys.executable if fits.contains(here, prereleases=True) else str(fits))
        )
        version = _version_of(room.venv)
        if not fits.contains(version, prereleases=True):
            raise explain.wrong_python(self._what, f"{told}, and {asked} is {version}.")
        return version

    # -- what is installed -------------------------------------------------------------------------------------------

    def _resolved(self, room: store.Room, found: Found, python: str) -> tuple[list[str], bool]:
        """The pins, and whether torch is to come from PyTorch's index; as a killed process had them, if one had."""
        key = self._key(found, python)
        for folder in store.abandoned():
            with contextlib.suppress(OSError, ValueError, KeyError):
                kept = json.loads((folder / "work" / "resolved.json").read_text("utf-8"))
                if kept["key"] == key and time.time() - kept["at"] < _A_DAY:
                    return [_moved(pin, folder, room.folder) for pin in kept["pins"]], bool(kept["torch_index"])
        self._call.report(0, stage="resolve")
        pins, torch_index = self._resolve(room.venv, found)
        kept = {"key": key, "at": time.time(), "pins": pins, "torch_index": torch_index}
        (room.work / "resolved.json").write_text(json.dumps(kept), "utf-8")
        return pins, torch_index

    def _key(self, found: Found, python: str) -> str:
        wheels = {name: hashlib.sha256(wheel.read_bytes()).hexdigest() for name, wheel in found.wheels.items()}
        asked = [found.requirement, wheels, found.recipe_text, self._wanted.extras, self._wanted.torch, python]
        return json.dumps([self._installer.version(), asked, sorted(_settings().items())])

    def _resolve(self, venv: Path, found: Found) -> tuple[list[str], bool]:
        recipe = found.recipe
        requirements = tuple(found.requirements)
        overrides = (*recipe.overrides, *Wishes.without(recipe.exclusions))
        plain = Wishes(requirements, (), overrides)
        if not recipe.torch or sys.platform == "darwin":  # which has but one build
            return self._installer.resolve(venv, plain), False
        choice = self._wanted.torch
        if choice == "cpu" or (choice == "auto" and not _has_cuda()):
            return self._resolve_for_cpu(venv, plain)
        pins = self._installer.resolve(venv, plain)
        if choice == "cuda" and _torch_in(pins).endswith("+cpu"):
            # At hand, and by its version it passes for newer than the one with CUDA.
            without = Wishes(requirements, (f"torch!={_torch_in(pins)}",), overrides)
            pins = self._installer.resolve(venv, without)
        return pins, False

    def _resolve_for_cpu(self, venv: Path, plain: Wishes) -> tuple[list[str], bool]:
        """With a build of torch for the CPU: one at hand, one that an index has, one of PyTorch's own index.

        Where "auto" was asked for and there is none of these, the build with CUDA serves on a CPU, too.
        """
        overrides = plain.overrides
        if self._installer.can_override:
            overrides += Wishes.without(_ONLY_WITH_CUDA)
        near = self._cpu_torch_at_hand(venv)
        ways = [Wishes(plain.requirements, (f"torch=={near}",), overrides)] if near else []
        ways += [Wishes(plain.requirements, (), overrides)]
        ways += [Wishes(plain.requirements, (), overrides, torch_index=True)]
        failed: InstallerFailed | None = None
        for way in ways:
            try:
                pins = self._installer.resolve(venv, way)
            except InstallerFailed as exc:
                failed = exc if not (way.constraints or way.torch_index) else failed
                continue
            if _torch_in(pins).endswith("+cpu"):
                return pins, way.torch_index
        if self._wanted.torch == "auto":
            return self._installer.resolve(venv, plain), False
        if failed is not None:
            raise failed  # whatever the build
        raise EnvironmentBuildError(
            f"{self._what}: no build of torch for the CPU that fits is at hand, nor does PyTorch's own index give one.",
            hint="Name a folder that holds one in pip's find-links, or give --torch cuda, whose build runs on a CPU, "
            "too, and is gigabytes large.",
            reason="requirements",
        )

    def _cpu_torch_at_hand(self, venv: Path) -> str:
        """The newest build of torch for the CPU that find-links has, or ""."""
        others: list[str] = []
        while len(others) < _BUILDS:
            try:
                found = _torch_in(self._installer.resolve(venv, Wishes(("torch",), tuple(others)), offline=True))
            except InstallerFailed:  # there is none, or none besides those
                return ""
            if found.endswith("+cpu"):
                return found
            others.append(f"torch!={found}")
        return ""


# --- parts ----------------------------------------------------------------------------------------------------------


class _Listener:
    """Turns what the installer prints into progress."""

    def __init__(self, call: Call, total: int) -> None:
        self._call = call
        self._total = total
        self._done = 0
        call.report(0, total, stage="download", unit="package")

    def __call__(self, line: str) -> None:
        told = re.match(r"\s*(Downloading|Downloaded|Building|Built|Prepared)\s+(\S+)(?:.*(\(.*\)))?", line)
        if told is None:
            return
        what, name, size = told.groups()
        stage = "download"
        if what in ("Downloaded", "Built"):
            self._done += 1
        elif what == "Prepared":
            self._done, stage = self._total, "install"
        else:
            stage = f"{'download' if what == 'Downloading' else 'build'} {name} {size or ''}".rstrip()
        self._call.report(self._done, self._total, stage=stage, unit="package")


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
            f"{str(path)!r} is no record, nor a folder with one.", hint=f"It is called {RECORD}.", reason="recipe"
        )
    return kept


def _kept_pins(room: store.Room, pins: Sequence[str]) -> list[str]:
    """The pins with our own wheels by their name."""
    wheels = (room.work / "wheels").as_uri()
    return [pin.replace(f"@ {wheels}", f"@ {WHEELS}") for pin in pins]


def _moved(pin: str, old: Path, new: Path) -> str:
    return pin.replace(old.as_uri(), new.as_uri())


def _take_out(environment: Environment, patterns: Sequence[str], pins: Sequence[str]) -> None:
    """Remove files that need CUDA, but for those of a package that comes as a build for the CPU."""
    (site,) = map(Path, environment.site_packages)
    for pattern in patterns:
        package = pattern.partition("/")[0]
        if not any(pin.startswith(f"{package}==") and "+cpu" in pin for pin in pins):
            for path in site.glob(pattern):
                path.unlink()  # but for this link to it, it stays in the installer's cache


def _stand_in(environment: Environment, stand_ins: Sequence[StandIn]) -> None:
    """Write the modules that a recipe puts in the place of others."""
    (site,) = map(Path, environment.site_packages)
    names = [stand_in.module for stand_in in stand_ins]
    for stand_in in sorted(stand_ins, key=lambda s: s.module):
        path = site.joinpath(*stand_in.module.split("."))
        for parent in reversed(path.relative_to(site).parents[:-1]):
            package = site / parent / "__init__.py"
            if not package.exists() and not (site / parent).is_dir():
                _write_new(package, "")
        if path.with_suffix(".py").exists() or path.is_dir():
            # It may be linked with the installer's cache, so that all others would get what is written there.
            raise EnvironmentBuildError(
                f"The recipe has a stand-in for {stand_in.module}, which is installed.",
                hint="A recipe excludes what it stands in for: tell the binding's authors.",
                reason="recipe",
            )
        reason = "".join(f"# {line}\n" for line in stand_in.reason.strip().splitlines())
        text = f"# Stands in for {stand_in.module}, as the recipe of this environment says:\n{reason}{stand_in.code}"
        is_package = any(name.startswith(f"{stand_in.module}.") for name in names)
        _write_new(path / "__init__.py" if is_package else path.with_suffix(".py"), text)
        if stand_in.version:
            metadata = f"Metadata-Version: 2.1\nName: {stand_in.module}\nVersion: {stand_in.version}\n"
            _write_new(site / f"{stand_in.module}-{stand_in.version}.dist-info" / "METADATA", metadata)


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _version_of(venv: Path) -> str:
    """The version of a virtual environment's Python, which has nothing of its parent's."""
    lines = [line.partition("=") for line in (venv / "pyvenv.cfg").read_text("utf-8").splitlines()]
    config = {key.strip(): value.strip() for key, _, value in lines}
    assert config.get("include-system-site-packages", "false") == "false"
    return config.get("version_info") or config["version"]


def _torch_in(pins: Sequence[str]) -> str:
    for pin in pins:
        if pin.startswith("torch=="):
            return pin.removeprefix("torch==").split(" ")[0]
    return ""


def _has_cuda() -> bool:
    return shutil.which("nvidia-smi") is not None or os.path.exists("/proc/driver/nvidia/version")


def _settings() -> dict[str, str]:
    """What of the surroundings decides what is resolved."""
    from lollms_modalities.isolation import pip_settings

    return {k: v for k, v in {**pip_settings.for_uv(), **os.environ}.items() if k.startswith("UV_")}


def _differences(environment: Environment, kept: Record | None) -> Iterator[str]:
    """Where an environment is not what its record says."""
    if kept is None:
        return
    from importlib.metadata import distributions

    from lollms_modalities.discovery import name_of
    from lollms_modalities.isolation.finding import normal

    there = {normal(n): d.version for d in distributions(path=environment.site_packages) if (n := name_of(d))}
    for pin in kept.pins:
        name, at, version = pin.partition("==")
        if not at:
            name, version = pin.partition(" @ ")[0], ""
        found: Any = there.get(normal(name))
        if found is None:
            yield f"{name} is missing, which was installed"
        elif version and found != version:
            yield f"{name} is {found}, and {version} was installed"


def _listed_anew() -> None:
    from lollms_modalities.discovery import refresh

    refresh()
