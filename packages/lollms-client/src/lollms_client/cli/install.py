"""``lollms install``: bindings into this environment, from where ``lollms-client`` came, in versions that go with it.

A person asks for it, it prints what it runs, and what it runs is uv or pip. Nothing else of ours installs anything.
"""

from __future__ import annotations

import importlib
import importlib.util
import json as json_
import os
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import typer
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.refs import refresh
from lollms_modalities.errors import LollmsError
from lollms_modalities.finding.bindings import find_bindings
from lollms_modalities.finding.mending import CLIENT, OTHERWISE, extras, plain
from lollms_modalities.settings.checking import near_miss
from lollms_modalities.version import requirement
from packaging.requirements import Requirement

from lollms_client.cli import complete
from lollms_client.cli.errors import UsageError, tell

_CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


class InstallError(LollmsError):
    """The installer failed, or there is none."""


class Source(NamedTuple):
    """Where this client came from.

    Attributes:
        checkout: the folder of its project, whose siblings are the other distributions; None for none.
        editable: whether it is installed from there as it stands.
        wheels: the folder of wheels that it came from.
        repository: the address of a version control system, with ``{}`` for the distribution.
    """

    checkout: Path | None = None
    editable: bool = False
    wheels: Path | None = None
    repository: str = ""


def install(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="Bindings or extras, such as piper; without one they are listed.",
            autocompletion=complete.extras,
        ),
    ] = None,
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Take the newest that fits.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="A folder of wheels or a checkout to take it from, or the address of an index.",
            show_default=False,
        ),
    ] = None,
    torch: Annotated[
        str | None, typer.Option(help="cpu: builds of torch without CUDA, where torch is needed.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command and run nothing.")] = False,
) -> int:  # fmt: skip
    """Install bindings into this environment, with uv or pip.

    lollms install piper whisper

    They come from where lollms-client came: an index, a folder of wheels, a checkout; in versions that go with it. What
    is run is printed first. For engines that cannot live together: lollms env create.
    """
    if not names:
        for line in _listed():
            typer.echo(line)
        return 0
    if torch not in (None, "cpu"):
        raise UsageError(f"--torch {torch} is not cpu.", hint="Without it the installer takes its own.")
    wanted = list(dict.fromkeys(map(extra_named, names)))
    command = command_for(wanted, came_from() if source is None else _given(source), upgrade=upgrade, torch=torch)
    if source is not None and "://" in source:
        command += ["--index-url", source]
    shown = shlex.join(command)
    if dry_run:
        typer.echo(shown)
        return 0
    before = _there()
    tell(f"Running {shown}")
    sys.stdout.flush()
    code = subprocess.run(command, check=False).returncode
    if code:
        raise InstallError(
            f"{', '.join(wanted)} could not be installed: the installer ended with code {code} and said why above.",
            hint="--from names a folder of wheels or an index; lollms env create NAME makes an environment of its own.",
        )
    refresh()
    if missing := [one.name for one in _requirements(wanted) if not _is_here(one.name)]:
        raise InstallError(
            f"The installer is content, and {', '.join(missing)} is not here: what it took has no extra of that name.",
            hint="Name a folder of wheels or an index with --from.",
        )
    for name in sorted(_there() - before):
        typer.echo(name)
    return 0


def extra_named(name: str) -> str:
    """The extra that ``piper``, ``Faster_Whisper`` or ``tts:piper`` means.

    Raises:
        UsageError: none.
    """
    modality, colon, rest = name.partition(":")
    wanted = plain(rest if colon and modality.strip().casefold() in MODALITIES else name).replace("_", "-")
    wanted = OTHERWISE.get(wanted, wanted)
    if wanted not in extras():
        raise UsageError(
            f"lollms-client has no extra {name!r}.",
            hint=f"{near_miss(wanted, sorted(extras()), 'extras')} Of others: pip install the distribution.",
        )
    return wanted


def came_from() -> Source:
    """Where ``lollms-client`` came from, by what its installer left; nothing of it where that was an index."""
    try:
        text = distribution(CLIENT).read_text("direct_url.json")
        told: Any = json_.loads(text) if text else {}
        url = urlsplit(str(told.get("url", "")))
    except (PackageNotFoundError, ValueError, AttributeError):  # damaged: it does not tell
        return Source()
    if "vcs_info" in told:
        folder = str(told.get("subdirectory", ""))
        commit = told["vcs_info"].get("commit_id", "")
        if not folder.endswith(CLIENT):
            return Source()
        address = f"{told['vcs_info'].get('vcs', 'git')}+{told['url']}{f'@{commit}' if commit else ''}"
        return Source(repository=f"{address}#subdirectory={folder.removesuffix(CLIENT)}{{}}")
    if url.scheme != "file":
        return Source()
    path = Path(unquote(url.path))
    if path.is_dir():
        return Source(path, bool(told.get("dir_info", {}).get("editable")))
    return Source(wheels=path.parent) if path.suffix == ".whl" and path.parent.is_dir() else Source()


def command_for(wanted: list[str], source: Source, *, upgrade: bool = False, torch: str | None = None) -> list[str]:
    """What installs some extras of the client.

    Raises:
        InstallError: there is neither uv nor pip.
    """
    command = [*_installer(wanted), *(["--upgrade"] if upgrade else [])]
    if torch is not None:
        command += ["--torch-backend", torch] if "uv" in Path(command[0]).name else ["--extra-index-url", _CPU_WHEELS]
    if source.checkout is None and not source.repository:
        place = [] if source.wheels is None else ["--find-links", str(source.wheels)]
        return [*command, *place, requirement(CLIENT, ",".join(wanted)).strip('"')]
    found: list[str] = []
    for needed in _requirements(wanted):
        tail = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
        project = None if source.checkout is None else source.checkout.parent / needed.name
        if project is not None and (project / "pyproject.toml").is_file():
            found += [*(["-e"] if source.editable else []), f"{project}{tail}"]
        elif source.repository and needed.name.startswith("lollms-"):
            found.append(f"{needed.name}{tail} @ {source.repository.format(needed.name)}")
        else:
            found.append(str(needed).partition(";")[0].strip())
    return command + found


def _installer(wanted: list[str]) -> list[str]:
    """uv or pip: which of them installed this client, if it is there, else the other."""
    uv = _uv()
    ways = {"uv": [uv, "pip", "install", "--python", sys.executable]} if uv else {}
    if importlib.util.find_spec("pip") is not None:
        ways["pip"] = [sys.executable, "-m", "pip", "install"]
    if not ways:
        raise InstallError(
            f"There is neither uv nor pip for {sys.executable}.",
            hint=f"What is to be installed is {requirement(CLIENT, ','.join(wanted))}.",
        )
    try:
        by = (distribution(CLIENT).read_text("INSTALLER") or "").strip()
    except PackageNotFoundError:
        by = ""
    return ways.get(by) or next(iter(ways.values()))


def _uv() -> str | None:
    """The program, which may be a distribution of this environment."""
    try:
        return str(importlib.import_module("uv").find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def _requirements(wanted: list[str]) -> list[Requirement]:
    """What some extras of the client require; ``all`` stands for others."""
    found: dict[str, Requirement] = {}
    for text in distribution(CLIENT).requires or ():
        needed = Requirement(text)
        if needed.marker is None or not any(needed.marker.evaluate({"extra": extra}) for extra in wanted):
            continue
        for one in _requirements(sorted(needed.extras)) if needed.name == CLIENT else [needed]:
            found[one.name] = one
    return list(found.values())


def _given(source: str) -> Source:
    if "://" in source:
        return Source()
    folder = Path(os.path.expanduser(source)).absolute()
    if not folder.is_dir():
        raise UsageError(f"--from {source!r} is no folder.", hint="Give a checkout, a folder of wheels, or an address.")
    for client in (folder / "packages" / CLIENT, folder / CLIENT):
        if (client / "pyproject.toml").is_file():
            return Source(client)
    return Source(wheels=folder)


def _there() -> set[str]:
    return {f"{m}:{ref.name}" for m in MODALITIES for ref in find_bindings(m) if ref.environment is None}


def _listed() -> list[str]:
    rows = []
    for extra in sorted(extras()):
        needed = [one for one in _requirements([extra]) if one.name != CLIENT]
        here = all(_is_here(one.name) for one in needed)
        rows.append((extra, "here" if here else "", ", ".join(one.name for one in needed)))
    wide = max((len(row[0]) for row in rows), default=0)
    return [f"{name:{wide}}  {here:4}  {what}" for name, here, what in rows]


def _is_here(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
