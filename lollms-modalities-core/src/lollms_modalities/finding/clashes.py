"""A binding that is installed here, cannot be used here, and is in an environment, too."""

from __future__ import annotations

from lollms_modalities.entry_points.refs import BindingRef
from lollms_modalities.errors import BindingBrokenError, BindingUnavailableError


def elsewhere(found: list[BindingRef]) -> list[BindingRef]:
    """Those that an environment has."""
    return [ref for ref in found if ref.environment is not None]


def clash_of(found: list[BindingRef]) -> BindingUnavailableError | None:
    """Why the first, which is installed here, cannot be used, where an environment has it, too."""
    if found[0].environment is not None or not elsewhere(found):
        return None
    from lollms_modalities.finding.loading import check_requirements

    try:
        check_requirements(found[0])
    except BindingBrokenError:
        return None  # told when it is imported
    except BindingUnavailableError as exc:
        return exc
    return None
