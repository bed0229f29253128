"""From what an installer printed to one paragraph that says what to do."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from lollms_modalities.environments.installers import InstallerFailed
from lollms_modalities.errors import EnvironmentBuildError

_FULL = re.compile(
    r"no space left|disk quota exceeded|file too large|os error (28|122|27)\b|errno (28|122|27)\b", re.IGNORECASE
)
_NETWORK = re.compile(
    r"error sending request|dns error|could not connect|connection (refused|reset|aborted)|timed out|"
    r"network is unreachable|name or service not known|temporary failure in name|newconnectionerror|"
    r"nameresolutionerror|tcp connect error|client error \(connect\)|http status (server|client) error",
    re.IGNORECASE,
)
_NO_PYTHON = re.compile(r"python-build-standalone|no interpreter found|no python installation", re.IGNORECASE)
_PYTHON = re.compile(
    r"python version \([^)]*\) does not satisfy|"
    r"requires a different python|is not a valid python|no virtual environment or system python|"
    r"failed to inspect python|no such file or directory.*python",
    re.IGNORECASE,
)
_UNSOLVED = re.compile(
    r"no solution found|unsatisfiable|resolutionimpossible|no matching distribution|not found in the package registry|"
    r"were not found in the cache|conflicting dependencies",
    re.IGNORECASE,
)
_TOLD_ELSEWHERE = re.compile(
    r"(Using|Resolved|Prepared|Downloading|Downloaded|Building|Built|Looking in|warning:|WARNING:|\[notice\])"
)
_UNKNOWN = re.compile(r"Because (\S+) was not found in the package registry")
_ADDRESS = re.compile(r"https?://[^\s/)'\"]+")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(what: str, failed: InstallerFailed, folder: Path) -> EnvironmentBuildError:
    """The error for a program that failed; ``what`` was tried, in the environments' ``folder``."""
    said = one_line(failed.output)
    common = {"output": failed.output[-8000:]}
    if _FULL.search(failed.output) or -failed.code == getattr(signal, "SIGXFSZ", None):
        return no_room(what, folder, common["output"])
    if _NO_PYTHON.search(failed.output):
        return wrong_python(what, said, common["output"])
    if _NETWORK.search(failed.output) and not _UNSOLVED.search(failed.output):
        where = ", ".join(dict.fromkeys(_ADDRESS.findall(failed.output))) or "the package index"
        return EnvironmentBuildError(
            f"{what}, but {where} cannot be reached.",
            hint="Look at the network, or at the proxy and index in pip's or uv's settings, and run the same again: "
            "what was fetched is kept. Without a network, --from takes a folder of wheels and find-links those that "
            "it needs.",
            reason="network",
            **common,
        )
    if _PYTHON.search(failed.output):
        return wrong_python(what, said, common["output"])
    if _UNSOLVED.search(failed.output):
        unknown = _UNKNOWN.search(said)
        if unknown is not None:
            return EnvironmentBuildError(
                f"{what}, but no index and no folder that was named has {unknown[1]}.",
                hint="Look whether the name is right; if so, name the folder that has it with --from, or the index or "
                "folder in pip's settings (extra-index-url, find-links).",
                reason="requirements",
                **common,
            )
        return EnvironmentBuildError(
            f"{what}, but its requirements cannot be fulfilled together: {said}",
            hint="Try another --python; if pip's or uv's constraints or indexes stand in the way, change those; "
            "otherwise the recipe must override what is impossible: tell the binding's authors.",
            reason="requirements",
            **common,
        )
    if "fail" in said.lower() and "build" in said.lower():
        return EnvironmentBuildError(
            f"{what}, but a package that comes as source does not build: {end_of(said)}",
            hint="Try another --python, for which its authors offer a wheel, or install the compiler that it wants.",
            reason="build",
            **common,
        )
    return EnvironmentBuildError(
        f"{what}, but {Path(failed.command[0]).name} ended with exit code {failed.code}: {end_of(said)}",
        hint="Mend that and run the same again: what was fetched is kept.",
        **common,
    )


def no_room(what: str, folder: Path, output: str = "") -> EnvironmentBuildError:
    """The error for a full disk."""
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache")
    places = [place for place in (folder, cache, Path(tempfile.gettempdir())) if place.exists()]
    disks = {place.stat().st_dev: place for place in reversed(places)}.values()
    told = ", ".join(f"{bytes_text(shutil.disk_usage(place).free)} in {place}" for place in disks)
    return EnvironmentBuildError(
        f"{what}, but the disk is full, or a limit on file sizes or a quota was reached. Free are {told}.",
        hint="Make room (uv cache clean, lollms env remove) or say where there is some: XDG_DATA_HOME for "
        "environments, UV_CACHE_DIR for what uv keeps, TMPDIR; then run the same again.",
        reason="disk",
        output=output,
    )


def wrong_python(what: str, found: str, output: str = "") -> EnvironmentBuildError:
    """The error for a Python that is not there or does not fit."""
    return EnvironmentBuildError(
        f"{what}, but there is no Python for it: {end_of(found)}",
        hint="Give one that fits with --python, as a version or as the path of an interpreter; uv fetches a version "
        "that is not installed where it may and can.",
        reason="python",
        output=output,
    )


def is_full(exc: OSError) -> bool:
    """Whether the disk was full."""
    return exc.errno in _NO_ROOM


def bytes_text(size: float) -> str:
    """A size as people read it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def one_line(output: str) -> str:
    """The message, without frames, hints about other programs, and the lines that tell how far it was."""
    lines = []
    said = output.splitlines()
    starts = [n for n, line in enumerate(said) if re.match(r"\s*(error:|ERROR:|×)", line)]
    for line in said[starts[0] if starts else 0 :]:
        text = re.sub(r"[×╰├─▶│]+|^\s*(error|ERROR|cause|Caused by):", " ", line).strip()
        if text and not _TOLD_ELSEWHERE.match(text):
            lines.append(text)
    return re.sub(r"\s+", " ", " ".join(lines)).strip()


def end_of(text: str, limit: int = 900) -> str:
    return text if len(text) <= limit else "... " + text[-limit:]
