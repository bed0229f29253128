"""What an interpreter's bindings say of themselves: ``python -m lollms_modalities.environments.inspector FILE [CODE]``.

Writes a line of JSON for each binding into FILE as it goes, so that a crash loses only what comes after; then runs
CODE.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any, TextIO


def inspect(out: TextIO, code: str) -> None:
    """Describe each binding that is installed here, then run the code."""
    from importlib import import_module

    from lollms_modalities.entry_points.groups import MODALITIES, PLACES
    from lollms_modalities.entry_points.metadata import read_entry_points
    from lollms_modalities.version import __version__

    _tell(out, {"python": sys.version.split()[0], "core": __version__})
    for modality in MODALITIES:
        module = import_module("lollms_modalities.finding.managers")
        manager = getattr(module, f"Lollms{modality.upper()}BindingManager")()
        for ref in [ref for ref in manager.refs() if ref.origin == "installed"]:
            about = {"modality": modality, "name": ref.name, "aliases": list(ref.aliases)}
            about |= {"distribution": ref.distribution, "version": ref.version}
            _tell(out, {"begins": about})
            try:
                _tell(out, {"binding": about | {"description": manager.load_class(ref.name).describe()}})
            except Exception as exc:
                _tell(out, {"failed": about | {"error": f"{type(exc).__name__}: {exc}"}})
    for entry in read_entry_points(PLACES):
        about = {"modality": "place", "name": entry.name, "distribution": entry.dist.name if entry.dist else ""}
        _tell(out, {"begins": about})
        try:
            entry.load()
            _tell(out, {"place": about})
        except Exception as exc:
            _tell(out, {"failed": about | {"error": f"{type(exc).__name__}: {exc}"}})
    if code:
        try:
            exec(compile(code, "<check of the recipe>", "exec"), {"__name__": "__check__"})
        except Exception as exc:
            _tell(out, {"check": f"{type(exc).__name__}: {exc}", "traceback": traceback.format_exc()})
            return
    _tell(out, {"check": ""})


def _tell(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()


if __name__ == "__main__":
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        inspect(file, sys.argv[2] if len(sys.argv) > 2 else "")
