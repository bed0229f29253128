"""A binding in another interpreter, behind the same object.

``open_binding`` starts a worker in that interpreter and gives a binding whose verbs run there. Managers do the same for
``create_binding(name, environment=...)``. ``create_environment`` makes the environments that they run in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lollms_modalities.isolation.building import check_environment as check_environment
    from lollms_modalities.isolation.building import create_environment as create_environment
    from lollms_modalities.isolation.building import remove_environment as remove_environment
    from lollms_modalities.isolation.building import update_environment as update_environment
    from lollms_modalities.isolation.environments import Environment as Environment
    from lollms_modalities.isolation.environments import environments_folder as environments_folder
    from lollms_modalities.isolation.environments import find_environment as find_environment
    from lollms_modalities.isolation.environments import list_environments as list_environments
    from lollms_modalities.isolation.host import WorkerPolicy as WorkerPolicy
    from lollms_modalities.isolation.proxy import IsolatedBinding as IsolatedBinding
    from lollms_modalities.isolation.proxy import Opener as Opener
    from lollms_modalities.isolation.record import Record as Record
    from lollms_modalities.isolation.record import disk_use as disk_use

_HOME = {
    "Environment": "environments", "environments_folder": "environments", "find_environment": "environments",
    "list_environments": "environments", "WorkerPolicy": "host", "IsolatedBinding": "proxy", "Opener": "proxy",
    "check_environment": "building", "create_environment": "building", "remove_environment": "building",
    "update_environment": "building", "Record": "record", "disk_use": "record",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # As in the package above: the worker and listing need but a part each.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def open_binding(
    modality: str,
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    python: str | Path | None = None,
    policy: WorkerPolicy | None = None,
) -> IsolatedBinding:
    """Start a worker and make a binding in it.

    Args:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        name: of the binding, as the environment of that interpreter knows it.
        settings: of the binding.
        python: the interpreter, whose environment holds the binding and the core; None for the one that runs here.
        policy: how many workers there may be, and how long they are kept.

    Raises:
        BindingUnavailableError: the interpreter, the binding or its core is not there or does not fit.
        SettingsError: a wrong setting; and whatever else making the binding raises.
        WorkerCrashedError: the worker ended meanwhile.
    """
    from lollms_modalities.isolation.proxy import Opener

    return Opener(modality, name, python=python, policy=policy).make(settings or {})
