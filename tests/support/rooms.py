"""What tests of the server share: the type of its fixture, and a configuration that serves the binding ``gate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from lollms_server.room.room import Room

OpenRoom = Callable[..., AbstractAsyncContextManager[Room]]


def gate_model(folder: Path, more: str = "isolated = false", name: str = "gate") -> str:
    """The configuration of one model that is the binding ``gate`` of ``folder``."""
    return f"""
[models.{name}]
binding = "gate"
{more}
[models.{name}.settings]
folder = {json.dumps(str(folder))}
"""


def notes(folder: Path) -> list[str]:
    """What the binding ``gate`` has noted."""
    file = folder / "notes"
    return file.read_text("utf-8").splitlines() if file.exists() else []
