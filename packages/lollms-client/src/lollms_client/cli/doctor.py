"""``lollms doctor``: what there is, what would be used, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.metadata import read_entry_points
from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.environments.environment import environments_folder, find_environment, list_environments
from lollms_modalities.environments.record import disk_use
from lollms_modalities.errors import LollmsError, SettingsError
from lollms_modalities.finding.mending import install_command
from lollms_modalities.hooks import GROUP
from lollms_modalities.workers.finding_places import find_place
from lollms_modalities.workers.places import check_place, has_our_environments
from platformdirs import user_cache_path

from lollms_client.cli import configuration, listing
from lollms_client.cli.around import provider_distributions
from lollms_client.cli.choice import choose
from lollms_client.cli.errors import FAILURE
from lollms_client.cli.params import Json
from lollms_client.cli.progress import counted
from lollms_client.cli.telling import json_text
from lollms_client.cli.use import names_of

_PACKAGES = (
    "lollms-modalities-core",
    "lollms-client",
    "pydantic",
    "numpy",
    "av",
    "torch",
    "onnxruntime",
    "ctranslate2",
)


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="By metadata alone: import no binding.")] = False,
    json: Json = False,
) -> int:
    """Tell of Python, packages, devices, caches and plug-ins, which bindings would be used, and what is wrong.

    Each binding is tried in a process of its own, with the settings of the configuration, and so is its engine. The
    exit code is 1 where something is wrong.
    """
    rows = listing.metadata_rows(listing.refs_of(()))
    used, problems = _used()
    if not quick:
        rows = _tried(rows, problems)
    problems += [str(row.error) for row in rows if row.error is not None]
    problems += [*listing.conflicts([row.ref for row in rows]), *map(str, listing.unreadable())]
    told: dict[str, Any] = {
        "python": f"{platform.python_version()} ({sys.executable}) on {platform.platform()}",
        "packages": dict(_packages([row.ref for row in rows])),
        "devices": _devices(),
        "caches": dict(_caches()),
        "configuration": _configuration(),
        "environments": [environment.name for environment in list_environments()],
        "plug-ins": sorted(f"{entry.name} ({entry.value})" for entry in read_entry_points(GROUP)),
        "providers": _providers(),
        "used": used,
        "problems": problems,
    }
    if json:
        typer.echo(json_text(told))
    else:
        for line in _lines(told):
            typer.echo(line)
    return FAILURE if problems else 0


def _tried(rows: list[listing.Row], problems: list[str]) -> list[listing.Row]:
    """The rows with what trying each found; what is wrong with settings of the configuration goes to ``problems``."""
    from lollms_modalities.finding.checking import check_bindings

    try:
        file = configuration.load()
    except configuration.ConfigurationError:  # which is told already
        file = configuration.Configuration({})

    def configured(ref: BindingRef) -> dict[str, Any] | None:
        return file.settings(ref.modality, *ref.names) or None

    fine = [row.ref for row in rows if row.error is None]
    found = {
        id(one.ref): one for one in counted(check_bindings(fine, 60.0, configured), len(fine), "check", "bindings")
    }
    tried = []
    for row in rows:
        one = found.get(id(row.ref))
        if one is not None and isinstance(one.error, SettingsError):
            names = getattr(one.error, "names", [])
            table = next((n for n in row.ref.names if n in file.tables.get(row.ref.modality, {})), row.ref.name)
            problems.append(f"{file.where(row.ref.modality, table, *names[:1])}: {one.error}")
            one = None
        tried.append(row if one is None else listing.Row(row.ref, one.error, one.seconds))
    return tried


def _packages(refs: list[BindingRef]) -> Iterator[tuple[str, str]]:
    here = {ref.distribution for ref in refs if ref.origin == "installed" and ref.distribution}
    for name in [*_PACKAGES, *sorted(here)]:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _devices() -> dict[str, str]:
    found = {"processors": f"{os.cpu_count()} ({platform.machine()})"}
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        found["memory"] = f"{pages * size / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):  # not on every system
        pass
    found["GPU"] = _gpus() or "none seen (nvidia-smi)"
    return found


def _gpus() -> str:
    """What the driver says, which asks no engine and takes no memory of the device."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "Apple" if sys.platform == "darwin" and platform.machine() == "arm64" else ""
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        return f"nvidia-smi failed: {exc}"
    return "; ".join(said.strip().splitlines())


def _caches() -> Iterator[tuple[str, str]]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "").strip() or Path.home() / ".cache")
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or cache / "huggingface") / "hub"
    places = {
        "model hub": Path(hub),
        "torch": Path(os.environ.get("TORCH_HOME") or cache / "torch"),
        "lollms": user_cache_path("lollms", appauthor=False),
        "environments": environments_folder(),
    }
    for name, folder in places.items():
        yield name, f"{folder} ({_size(folder)})"


def _size(folder: Path) -> str:
    if not folder.is_dir():
        return "not there"
    total = disk_use([folder]).size
    return f"{total / 1e9:.1f} GB" if total >= 1e8 else f"{total / 1e6:.1f} MB"


def _configuration() -> str:
    path = configuration.path()
    return f"{path}{'' if path.exists() else ' (not there)'}"


def _used() -> tuple[dict[str, str], list[str]]:
    """For each modality the binding that a command would use, and why; and what is wrong with that."""
    used, problems = {}, []
    try:
        file = configuration.load()
    except configuration.ConfigurationError as exc:
        return {}, [str(exc)]
    for modality in MODALITIES:
        try:
            choice = choose(modality)
        except LollmsError as exc:
            used[modality] = f"none: {exc}"
            continue
        several = f", the first that is here of {', '.join(choice.names)}" if choice.names else ""
        used[modality] = f"{choice.name}, by {choice.source}{several}"
        names = names_of(modality, choice.name)
        where = file.runs_in(modality, choice.name, *names)
        word, here = "place", True
        try:
            place = find_place(where.get("place"))
            here = has_our_environments(place)
            check_place(place)
            if here and "environment" in where:
                word = "environment"
                find_environment(where["environment"])
        except LollmsError as exc:
            problems.append(f"{file.where_said(modality, word, *names)}: {exc}")
        if here and not any(choice.name in ref.names for ref in listing.refs_of((modality,))):
            problems.append(f"{modality}: {choice.source} says {choice.name!r}, which is not installed.")
    return used, problems


_PROVIDERS = {"aligner": "align", "voice_activity": "speakers", "diarizer": "speakers"}  # and the extra of each


def _providers() -> dict[str, str]:
    """What does its work for every binding, by kind: whose it is, or what would bring it."""
    found = {kind: f"none: run {install_command(extra)}, for one" for kind, extra in _PROVIDERS.items()}
    for kind, refs in provider_distributions().items():
        found[kind] = ", ".join(refs)
    return found


def _lines(told: dict[str, Any]) -> Iterator[str]:
    for title, value in told.items():
        if title == "problems":
            yield ""
            yield from value or ["Nothing is wrong."]
        elif isinstance(value, dict):
            yield title
            width = max(map(len, value), default=0)
            yield from (f"  {name:{width}}  {text}" for name, text in value.items())
        else:
            yield f"{title}: {', '.join(value) or 'none' if isinstance(value, list) else value}"
