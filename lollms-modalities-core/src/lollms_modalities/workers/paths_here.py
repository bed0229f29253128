"""Settings that are paths, at a place that has other files: a file of this machine alone is told instead of missed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from lollms_modalities.errors import SettingsError


def paths_here(settings: Mapping[str, Any], described: Mapping[str, Any]) -> dict[str, str]:
    """Of settings those whose path exists on this machine; ``described`` is their JSON schema."""
    found = {}
    for name, schema in described.get("properties", {}).items():
        value = settings.get(name)
        if schema.get("lollms", {}).get("kind") != "path" or not isinstance(value, (str, PurePath)):
            continue
        text = str(value)
        # A plain word, such as the name of a model, is a path only where it is given as one.
        is_path = isinstance(value, PurePath) or os.sep in text or text.startswith("~")
        if is_path and "\0" not in text and os.path.exists(os.path.expanduser(text)):
            found[name] = text
    return found


def check_there(paths: Mapping[str, str]) -> None:
    """In the worker: raise ``SettingsError`` where one of these, which exist where its host is, does not exist here."""
    for name, path in paths.items():
        if not os.path.exists(os.path.expanduser(path)):
            raise SettingsError(
                f"{name}={path!r} is on the machine of the program, and not on the one where the binding runs.",
                hint="Copy it there, or give a path of that machine.",
                names=[name],
            )
