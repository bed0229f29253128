"""What is wrong with an interpreter in which no binding could be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from lollms_modalities.entry_points.metadata import site_packages_of
from lollms_modalities.errors import BindingDependencyError, BindingIncompatibleError, WorkerCrashedError
from lollms_modalities.version import __version__

if TYPE_CHECKING:
    from lollms_modalities.workers.policy import Spec

_CORE = "lollms-modalities-core"


def check_interpreter(spec: Spec) -> None:
    """Raise ``BindingDependencyError`` if it cannot be run. One of another machine is not looked at."""
    if not spec.place.shares_files:
        return
    if not os.access(spec.python, os.X_OK) or spec.python.is_dir():
        raise BindingDependencyError(
            f"{str(spec.python)!r} is no Python interpreter that can be run.",
            hint="Give the path of a virtual environment, or of the interpreter in one.",
            name=spec.name,
        )


def core_mend(spec: Spec) -> str:
    """What gives the worker's environment the core that runs here."""
    if spec.lock is not None:  # one that we made
        return f"Run lollms env update {spec.environment or spec.where}."
    if not spec.place.shares_files:
        return f"Install {_CORE}=={__version__} there."
    return f'Run "{spec.python}" -m pip install "{_CORE}=={__version__}".'


@contextmanager
def explain_start(spec: Spec) -> Iterator[None]:
    """Say of a worker that ended before it spoke whether its core is missing or older than isolation is."""
    try:
        yield
    except WorkerCrashedError as exc:
        lines = getattr(exc, "last_lines", [])
        if not any("No module named" in line and "lollms_modalities" in line for line in lines):
            raise
        mend = core_mend(spec)
        if not spec.place.shares_files:  # whose files cannot be looked at
            raise BindingDependencyError(
                f"{_CORE} {__version__} cannot be imported at {spec.where!r}.", hint=mend, name=spec.name
            ) from exc
        found = _core_version(spec)
        if found is None:
            raise BindingDependencyError(
                f"The environment {spec.where!r} does not hold {_CORE}.", hint=mend, name=spec.name
            ) from exc
        raise BindingIncompatibleError(
            f"The environment {spec.where!r} holds {_CORE} {found}, which cannot serve {__version__}.",
            hint=mend,
            name=spec.name,
        ) from exc


def _core_version(spec: Spec) -> str | None:
    sites = site_packages_of(spec.python.parent.parent)
    for found in distributions(name=_CORE, path=sites):
        return str(found.version)
    return None
