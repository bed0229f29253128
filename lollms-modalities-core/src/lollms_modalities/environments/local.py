"""Distributions that lie on this machine: a wheel, or a project's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lollms_modalities.errors import EnvironmentBuildError, LollmsError

CORE = "lollms-modalities-core"


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


@dataclass(frozen=True)
class Local:
    """A distribution on this machine: a wheel, or a project's folder."""

    name: str
    version: str
    path: Path
    offers: frozenset[str]

    def is_called(self, name: str) -> bool:
        return normal(name) in {normal(offered) for offered in (*self.offers, self.name)}


def identity(name: object, version: object) -> tuple[str, str]:
    """Name and version, if they can be."""
    from packaging.version import Version

    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", name, re.ASCII):
        raise ValueError(f"its name is {name!r:.80}")
    if not isinstance(version, str):
        raise ValueError(f"its version is {version!r:.80}")
    Version(version)
    return name, version


def refuse_no_file(path: Path) -> None:
    # Opening a FIFO waits for who writes to it; a folder or nothing says of itself what it is.
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError("it is no file")


@contextmanager
def damage_told(path: object) -> Iterator[None]:
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


def newest_first(local: Iterable[Local]) -> list[Local]:
    from packaging.version import Version

    return sorted(local, key=lambda one: Version(one.version), reverse=True)


def fitting(requirement: str, local: Iterable[Local]) -> Local | None:
    """The newest on this machine that fulfils a requirement."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    for one in newest_first(local):
        if normal(one.name) == normal(wanted.name) and wanted.specifier.contains(one.version, prereleases=True):
            return one
    return None
