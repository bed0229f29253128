"""JSON as any reader takes it."""

from __future__ import annotations

import json
import math
from typing import Any


def text_of(value: Any, *, ascii: bool = True) -> str:
    """As JSON. A number that is none, or infinite, is null: an engine may tell one, and JSON has no such."""
    try:
        return _text(value, ascii)
    except ValueError:
        return _text(_finite(value), ascii)


def _text(value: Any, ascii: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(held) for name, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
