"""Which Bark models there are."""

from __future__ import annotations

import json
from pathlib import Path

from lollms_modalities.kit import hub

KNOWN = ("suno/bark-small", "suno/bark")
MARKS = ("config.json",)


def list_models(folder: Path | None) -> list[str]:
    """The folders of Bark models in ``folder``, and the repositories that are known."""
    own = [] if folder is None else [name for name in hub.list_models([folder], MARKS) if _is_bark(folder / name)]
    return [*own, *(name for name in KNOWN if name not in own)]


def _is_bark(folder: Path) -> bool:
    try:
        config = json.loads((folder / MARKS[0]).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "bark"
