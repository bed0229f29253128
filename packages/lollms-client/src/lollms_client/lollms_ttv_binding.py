"""The documented home of the TTV contract, which lives in ``lollms_modalities.contract.ttv``."""

from __future__ import annotations

from lollms_modalities.contract.ttv import LollmsTTVBinding as LollmsTTVBinding
from lollms_modalities.finding.managers import LollmsTTVBindingManager as LollmsTTVBindingManager

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def list_binding_models(
    ttv_binding_name: str,
    ttv_binding_config: Mapping[str, Any] | None = None,
    ttv_bindings_dir: str | Path | None = None,
) -> list[str]:
    """The names of a binding's models, as in 1.x: ``create_binding`` and ``list_models`` in one."""
    from lollms_client import _listing

    return _listing.models(LollmsTTVBindingManager(ttv_bindings_dir), ttv_binding_name, ttv_binding_config)
