"""What the bindings of an environment say of themselves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lollms_modalities.environments.environment import find_environment
from lollms_modalities.environments.record import BINDINGS
from lollms_modalities.errors import BindingBrokenError

if TYPE_CHECKING:
    from lollms_modalities.entry_points.refs import BindingRef
    from lollms_modalities.environments.environment import Environment


def describe_binding(ref: BindingRef) -> dict[str, Any]:
    """What a binding of an environment said of itself when that was made; one that others made is asked now.

    Raises:
        BindingNotFoundError: there is no such environment.
        BindingBrokenError: it does not work there.
    """
    assert ref.environment is not None
    environment = find_environment(ref.environment)
    bindings, problems = _remembered(environment), [""]
    if _of(ref, bindings) is None:
        from lollms_modalities.environments.changing import check_environment

        _, _, bindings, problems, _ = check_environment(ref.environment)
    found = _of(ref, bindings)
    if found is None:
        raise BindingBrokenError(
            f"The {ref.modality} binding {ref.name!r} does not work in the environment {ref.environment!r}: "
            f"{'; '.join(problems)}.",
            hint=f"Run lollms env update {ref.environment}.",
            name=ref.name, modality=ref.modality, distribution=ref.distribution,
        )  # fmt: skip
    description: dict[str, Any] = found["description"]
    return description


def _remembered(environment: Environment) -> list[dict[str, Any]]:
    try:
        told: list[dict[str, Any]] = json.loads((environment.folder / BINDINGS).read_text("utf-8"))
        return told
    except FileNotFoundError:
        return []


def _of(ref: BindingRef, bindings: list[dict[str, Any]]) -> dict[str, Any] | None:
    key = (ref.modality, ref.name, ref.version)
    return next((b for b in bindings if (b["modality"], b["name"], b["version"]) == key), None)
