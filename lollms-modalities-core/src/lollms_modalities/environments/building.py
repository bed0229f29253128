"""Making environments: found, resolved, filled, tried, and only then there.

A step that fails, or a call that is stopped, leaves nothing. What a killed process left is swept up by the next; what
it had resolved serves again (``resolving``), and what it had fetched is in the installer's cache.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.environments import explain, store
from lollms_modalities.environments.cuda import stand_in, take_out, torch_in, version_of
from lollms_modalities.environments.environment import Environment, environments_folder, find_environment
from lollms_modalities.environments.inspecting import inspect
from lollms_modalities.environments.installers import InstallerFailed, Runner, find_installer
from lollms_modalities.environments.record import BINDINGS, WHEELS, Record
from lollms_modalities.environments.resolving import Resolver
from lollms_modalities.environments.sources import find
from lollms_modalities.errors import EnvironmentBuildError, LollmsError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.environments.record import Request
    from lollms_modalities.environments.sources import Found


class Building:
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
        refresh()
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
            python=wanted.python or sys.executable, build=wanted.allow_build,
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
        pins, torch_index = Resolver(self._call, self._installer, wanted, self._what).pins(room, found, python)
        self._install(
            room,
            Record(
                room.name, wanted, found.distribution, found.version, python, tuple(_kept_pins(room, pins)),
                found.recipe_text, torch_in(pins), torch_index,
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
        python = version_of(room.venv)
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
            take_out(environment, recipe.cuda_files, plan.pins)
        stand_in(environment, recipe.stand_ins)
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
        version = version_of(room.venv)
        if not fits.contains(version, prereleases=True):
            raise explain.wrong_python(self._what, f"{told}, and {asked} is {version}.")
        return version


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


def _kept_pins(room: store.Room, pins: Sequence[str]) -> list[str]:
    """The pins with our own wheels by their name."""
    wheels = (room.work / "wheels").as_uri()
    return [pin.replace(f"@ {wheels}", f"@ {WHEELS}") for pin in pins]
