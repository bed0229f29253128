"""The documented home of the TTM contract, which lives in ``lollms_modalities.contract.ttm``."""

from __future__ import annotations

from lollms_modalities.contract.ttm import LollmsTTMBinding as LollmsTTMBinding
from lollms_modalities.finding.managers import LollmsTTMBindingManager as LollmsTTMBindingManager

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def list_binding_models(
    ttm_binding_name: str,
    ttm_binding_config: Mapping[str, Any] | None = None,
    ttm_bindings_dir: str | Path | None = None,
) -> list[str]:
    """The names of a binding's models, as in 1.x: ``create_binding`` and ``list_models`` in one."""
    from lollms_client import _listing

    return _listing.models(LollmsTTMBindingManager(ttm_bindings_dir), ttm_binding_name, ttm_binding_config)
