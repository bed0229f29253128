"""The documented home of the STT contract, which lives in ``lollms_modalities.contract.stt``."""

from __future__ import annotations

from lollms_modalities.contract.stt import LollmsSTTBinding as LollmsSTTBinding
from lollms_modalities.finding.managers import LollmsSTTBindingManager as LollmsSTTBindingManager

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def get_available_bindings(stt_bindings_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """What there is, as in 1.x: ``binding_name``, ``title``, ``author``, ``version``, ``description`` of each."""
    from lollms_client import _listing

    return _listing.described(LollmsSTTBindingManager(stt_bindings_dir))


def list_binding_models(
    stt_binding_name: str,
    stt_binding_config: Mapping[str, Any] | None = None,
    stt_bindings_dir: str | Path | None = None,
) -> list[str]:
    """The names of a binding's models, as in 1.x: ``create_binding`` and ``list_models`` in one."""
    from lollms_client import _listing

    return _listing.models(LollmsSTTBindingManager(stt_bindings_dir), stt_binding_name, stt_binding_config)
