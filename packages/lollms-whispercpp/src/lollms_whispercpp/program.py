"""Which program is run: found, and asked what it can do."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from pathlib import Path
from typing import NamedTuple

from lollms_modalities import BindingDependencyError, GenerationError
from lollms_modalities.kit.program import Running

# Newest first. "main" is what whisper.cpp called it until 2024: too common a word to be looked for on PATH.
_NAMES = ("whisper-cli", "whisper-cpp")
_OLD_NAME = "main"
# What the binding uses; all of it is in whisper.cpp since 1.5 (November 2023).
_NEEDED = ("-m", "-f", "-l", "-t", "-of", "-oj", "-ojf", "-pp", "-bs", "-mc", "-tr", "-nf", "-ng", "-ac", "--prompt")
_PROBE_TIME = 20.0  # seconds
PATIENT = {"OMP_WAIT_POLICY": "passive"}  # waiting threads that spin take the processor from everybody else
_HINT = 'Install whisper.cpp and set whispercpp_exe_path, or run pip install "lollms-whispercpp[program]>=2.0,<3".'


class Program(NamedTuple):
    """whisper.cpp's program: where it is, the options that it knows, its version ("" where it does not tell)."""

    path: Path
    options: frozenset[str]
    version: str


def find_program(given: Path | None) -> Program:
    """The program that was named, or the one beside this Python or on PATH.

    Args:
        given: a program, its name on PATH, or the folder that has it.

    Raises:
        BindingDependencyError: there is none, or it is too old to be served.
    """
    if given is None:
        folders = os.pathsep.join((os.environ.get("PATH", ""), sysconfig.get_path("scripts")))
        found = _first(_NAMES, folders)
        if found is None:
            raise BindingDependencyError(f"There is no {' or '.join(_NAMES)} on PATH.", hint=_HINT)
    elif os.path.isdir(folder := os.path.expanduser(given)):
        found = _first((*_NAMES, _OLD_NAME), folder)
        if found is None:
            raise BindingDependencyError(
                f"The folder {str(given)!r} has no {', '.join(_NAMES)} or {_OLD_NAME} that can be run.", hint=_HINT
            )
    else:
        found = named_program(given, "whispercpp_exe_path")
    return _probed(found)


def named_program(given: Path, setting: str) -> Path:
    """The program at a path, or of that name on PATH.

    Raises:
        BindingDependencyError: there is none.
    """
    found = shutil.which(os.path.expanduser(given))
    if found is None:
        raise BindingDependencyError(
            f"{setting}={str(given)!r} is no program that can be run.", hint="Give the path of one."
        )
    return Path(found).absolute()


def _first(names: tuple[str, ...], folders: str) -> Path | None:
    found = next(filter(None, (shutil.which(name, path=folders) for name in names)), None)
    return None if found is None else Path(found).absolute()


def _probed(path: Path) -> Program:
    said = _said(path, "--help")
    options = frozenset(re.findall(r"(?<![\w-])--?[a-z][\w-]*", said))
    missing = [option for option in _NEEDED if option not in options]
    if missing:
        words = " ".join(said.split())[:200]
        raise BindingDependencyError(
            f"{str(path)!r} is no program of whisper.cpp, or one from before 1.5: it does not know "
            f"{', '.join(missing)}. It says: {words!r}.",
            hint=_HINT,
        )
    version = re.search(r"version: *(\S+)", _said(path, "--version")) if "--version" in options else None
    return Program(path, options, version.group(1) if version else "")


def _said(path: Path, option: str) -> str:
    try:
        with Running([path, option], timeout=_PROBE_TIME) as running:
            return "\n".join(running)
    except (GenerationError, BindingDependencyError) as exc:
        raise BindingDependencyError(f"{str(path)!r} cannot be run: {exc}.", hint=_HINT) from exc
