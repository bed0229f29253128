"""The documented home of the TTS contract, which lives in ``lollms_modalities.contract.tts``."""

from __future__ import annotations

from lollms_modalities.contract.tts import LollmsTTSBinding as LollmsTTSBinding
from lollms_modalities.finding.managers import LollmsTTSBindingManager as LollmsTTSBindingManager

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def get_available_bindings(tts_bindings_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """What there is, as in 1.x: ``binding_name``, ``title``, ``author``, ``version``, ``description`` of each."""
    from lollms_client import _listing

    return _listing.described(LollmsTTSBindingManager(tts_bindings_dir))


def list_binding_models(
    tts_binding_name: str,
    tts_binding_config: Mapping[str, Any] | None = None,
    tts_bindings_dir: str | Path | None = None,
) -> list[str]:
    """The names of a binding's models, as in 1.x: ``create_binding`` and ``list_models`` in one."""
    from lollms_client import _listing

    return _listing.models(LollmsTTSBindingManager(tts_bindings_dir), tts_binding_name, tts_binding_config)
