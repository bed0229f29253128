"""What makes environments: uv, or pip where uv is missing. Both as programs that are run, stopped and listened to."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lollms_modalities.calls.call import Call
from lollms_modalities.environments import pip_settings
from lollms_modalities.workers.process import guarded
from lollms_modalities.workers.variables import clean_variables

Listener = Callable[[str], object]
_ALSO = (("--constraints", "UV_CONSTRAINT", "constraints"), ("--overrides", "UV_OVERRIDE", "overrides"))
_TORCH_INDEX = ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]


class InstallerFailed(Exception):
    """A program ended with a failure; ``output`` is all that it said, ``code`` as ``subprocess`` has it."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"{command[0]} ended with {code}")
        self.command = command
        self.code = code
        self.output = output


@dataclass(frozen=True)
class Wishes:
    """What is to be resolved.

    Attributes:
        requirements: what is wanted.
        constraints: what their versions must be, if they come in.
        overrides: what takes the place of the requirements of others.
        torch_index: whether torch comes from PyTorch's own index of builds for the CPU.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    torch_index: bool = False

    @staticmethod
    def without(names: Iterable[str]) -> tuple[str, ...]:
        """Overrides that keep distributions out."""
        return tuple(f"{name} ; sys_platform == 'never'" for name in names)


class Installer(Protocol):
    """Makes environments and fills them. Every method raises ``InstallerFailed``."""

    name: str
    can_override: bool

    def version(self) -> str:
        """Name and version."""

    def look_in(self, folder: str) -> None:
        """Look for wheels in a folder, too."""

    def make_environment(self, folder: Path, python: str) -> None:
        """A virtual environment with nothing in it; ``python`` is a path, a version, or a range of versions."""

    def build(self, project: Path, into: Path) -> Path:
        """The wheel of a folder with a ``pyproject.toml``."""

    def fetch(self, requirement: str, into: Path, python: str, *, build: bool = False) -> None:
        """Lay a distribution's files, without what it requires, into a folder; those of a wheel, or with ``build`` also
        of a source that is built, which runs its code."""

    def resolve(self, environment: Path, wishes: Wishes, *, offline: bool = False) -> list[str]:
        """The pinned requirements that fulfil them; ``offline``: these alone, from find-links alone."""

    def install(self, environment: Path, pins: Path, listener: Listener, *, torch_index: bool = False) -> None:
        """Install what a file pins; the listener gets every line that is printed."""


_WHEELS_ONLY = ["--only-binary", ":all:"]


class Runner:
    """Runs programs in a folder of ours, until the call is stopped or this program ends."""

    def __init__(self, call: Call, folder: Path) -> None:
        self.folder = folder
        self._call = call

    def run(
        self, command: Sequence[str], variables: dict[str, str] | None = None, listener: Listener = lambda line: None
    ) -> str:
        """What it printed on standard output.

        Raises:
            InstallerFailed: it ended with a failure.
            CallCancelled, CallTimeout: the call was stopped.
        """
        self._call.check()
        # In our folder, since uv takes settings from the project that it is started in.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
            env={**clean_variables(), "NO_COLOR": "1", **(variables or {})}, start_new_session=True, text=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        lines: list[str] = []
        with guarded(process):
            remove = self._call.on_cancel(lambda: _kill(process))
            try:
                assert process.stdout is not None
                with process.stdout:
                    for line in process.stdout:
                        lines.append(line)
                        listener(line)
                if hasattr(os, "waitid"):
                    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
                else:
                    process.wait()
            finally:
                remove()
        self._call.check()
        output = "".join(lines)
        if process.returncode:
            raise InstallerFailed(command, process.returncode, output)
        return output


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class Uv:
    """uv, told what pip has been told."""

    name = "uv"
    can_override = True

    def __init__(self, program: str, runner: Runner) -> None:
        self._program = program
        self._runner = runner
        self._variables = pip_settings.for_uv()
        self._no_index = pip_settings.no_index()

    def look_in(self, folder: str) -> None:
        """See ``Installer``."""
        told = self._variables.get("UV_FIND_LINKS", os.environ.get("UV_FIND_LINKS", ""))
        self._variables["UV_FIND_LINKS"] = ",".join(filter(None, [told, folder]))

    def version(self) -> str:
        """Name and version."""
        return " ".join(self._run("--version").split()[:2])

    def make_environment(self, folder: Path, python: str) -> None:
        """See ``Installer``."""
        self._run("venv", "--no-project", "--python", python, str(folder))

    def build(self, project: Path, into: Path) -> Path:
        """See ``Installer``."""
        self._run("build", "--wheel", "--no-create-gitignore", "--out-dir", str(into), str(project))
        return _only_wheel(into)

    def fetch(self, requirement: str, into: Path, python: str, *, build: bool = False) -> None:
        """See ``Installer``."""
        only = [] if build else _WHEELS_ONLY
        self._run("pip", "install", "--no-deps", *only, "--python", python, "--target", str(into), requirement)

    def resolve(self, environment: Path, wishes: Wishes, *, offline: bool = False) -> list[str]:
        """See ``Installer``."""
        files = _write(self._runner.folder, wishes)
        out = self._runner.folder / "resolved.txt"
        out.unlink(missing_ok=True)  # else uv would prefer what stands there
        command = ["pip", "compile", "--no-header", "--no-annotate", "--python", str(_python_of(environment))]
        # An option takes the place of its variable, so that the variable's files are named here, too.
        for option, variable, kind in _ALSO:
            places = [str(files[kind]), *self._variables.get(variable, os.environ.get(variable, "")).split()]
            command += [part for place in places for part in (option, place)]
        command += ["--no-index", "--no-deps"] if offline else []
        command += ["--torch-backend", "cpu"] if wishes.torch_index else []
        self._run(*command, "-o", str(out), str(files["requirements"]))
        return [line.strip() for line in out.read_text("utf-8").splitlines() if line.strip()]

    def install(self, environment: Path, pins: Path, listener: Listener, *, torch_index: bool = False) -> None:
        """See ``Installer``."""
        # The pins fit overrides, which the metadata does not know of.
        command = ["pip", "install", "--no-deps", "--python", str(_python_of(environment)), "-r", str(pins)]
        self._run(*command, *(["--torch-backend", "cpu"] if torch_index else []), listener=listener)

    def _run(self, *arguments: str, listener: Listener = lambda line: None) -> str:
        command = [self._program, *arguments]
        if arguments[0] in ("pip", "build") and self._no_index and "--no-index" not in arguments:
            command.append("--no-index")
        return self._runner.run(command, self._variables, listener)


class Pip:
    """pip, as it comes with Python."""

    name = "pip"
    can_override = False

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._variables: dict[str, str] = {}

    def look_in(self, folder: str) -> None:
        """See ``Installer``."""
        told = pip_settings.read().get("find-links", "")
        self._variables["PIP_FIND_LINKS"] = f"{told} {folder}".strip()

    def version(self) -> str:
        """Name and version."""
        return " ".join(self._pip("--version").split()[:2])

    def make_environment(self, folder: Path, python: str) -> None:
        """See ``Installer``."""
        self._runner.run([_interpreter(python), "-m", "venv", str(folder)])

    def build(self, project: Path, into: Path) -> Path:
        """See ``Installer``."""
        self._pip("wheel", "--no-deps", "-w", str(into), str(project))
        return _only_wheel(into)

    def fetch(self, requirement: str, into: Path, python: str, *, build: bool = False) -> None:
        """See ``Installer``."""
        self._pip("install", "--no-deps", *([] if build else _WHEELS_ONLY), "--target", str(into), requirement)

    def resolve(self, environment: Path, wishes: Wishes, *, offline: bool = False) -> list[str]:
        """See ``Installer``."""
        files = _write(self._runner.folder, wishes)
        report = self._runner.folder / "report.json"
        command = [str(_python_of(environment)), "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), "-c", str(files["constraints"]), "-r", str(files["requirements"])]
        command += ["--no-index", "--no-deps"] if offline else []
        self._runner.run([*command, *(_TORCH_INDEX if wishes.torch_index else [])], self._variables)
        return sorted(_pin(found) for found in json.loads(report.read_text("utf-8"))["install"])

    def install(self, environment: Path, pins: Path, listener: Listener, *, torch_index: bool = False) -> None:
        """See ``Installer``."""
        command = [str(_python_of(environment)), "-m", "pip", "install", "--no-deps", "-r", str(pins)]
        self._runner.run([*command, *(_TORCH_INDEX if torch_index else [])], self._variables, listener)

    def _pip(self, *arguments: str) -> str:
        python = sys.executable
        if importlib.util.find_spec("pip") is None:
            # One of our own, made for this.
            helper = self._runner.folder / "pip"
            if not helper.exists():
                self._runner.run([sys.executable, "-m", "venv", str(helper)])
            python = str(_python_of(helper))
        return self._runner.run([python, "-m", "pip", *arguments], self._variables)


def find_installer(runner: Runner) -> Installer:
    """uv where it is installed, else pip."""
    program = _uv()
    return Pip(runner) if program is None else Uv(program, runner)


def _uv() -> str | None:
    try:
        from uv import find_uv_bin
    except ImportError:
        return shutil.which("uv")
    try:
        return str(find_uv_bin())
    except FileNotFoundError:
        return shutil.which("uv")


def _python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _interpreter(python: str) -> str:
    """The program for a path, a version or a range of versions; without uv nothing is fetched."""
    if os.sep in python:
        return python
    if re.fullmatch(r"\d+(\.\d+)*", python):
        minor = ".".join(python.split(".")[:2])
        found = shutil.which(f"python{minor}")
    else:
        from packaging.specifiers import SpecifierSet

        wanted = SpecifierSet(python)
        names = [f"3.{minor}" for minor in range(30, 10, -1) if wanted.contains(f"3.{minor}.99")]
        found = next(filter(None, (shutil.which(f"python{name}") for name in names)), None)
    if found is None:
        raise InstallerFailed(["python"], 1, f"No interpreter found for Python {python}; uv can fetch one.")
    return found


def _only_wheel(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def _write(folder: Path, wishes: Wishes) -> dict[str, Path]:
    files = {}
    for kind in ("requirements", "constraints", "overrides"):
        files[kind] = folder / f"{kind}.txt"
        files[kind].write_text("".join(f"{line}\n" for line in getattr(wishes, kind)), "utf-8")
    return files


def _pin(found: dict[str, dict[str, object]]) -> str:
    name, version = str(found["metadata"]["name"]), str(found["metadata"]["version"])
    url = str(found["download_info"]["url"])
    return f"{name} @ {url}" if found.get("is_direct") else f"{name}=={version}"
