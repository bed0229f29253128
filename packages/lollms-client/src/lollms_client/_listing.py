"""The functions that 1.x had beside the managers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from lollms_modalities.finding.manager import BindingManager


def described(manager: BindingManager[Any]) -> list[dict[str, Any]]:
    """What there is, from metadata: ``binding_name``, ``title``, ``author``, ``version``, ``description`` of each."""
    rows = []
    for ref in manager.refs():
        try:
            about = metadata(ref.distribution)
            # Asked first: a name that is not there is deprecated from Python 3.12 on.
            told = {name: about[name] for name in ("Summary", "Author", "Author-email") if name in about}
            summary, author = told.get("Summary", ""), told.get("Author") or told.get("Author-email") or "Unknown"
        except PackageNotFoundError:  # it is in a folder or an environment of its own
            summary, author = "", "Unknown"
        rows.append(
            {
                "binding_name": ref.name,
                "title": ref.name.replace("_", " ").title(),
                "author": author,
                "version": ref.version,
                "description": summary,
            }
        )
    return sorted(rows, key=lambda row: row["title"])


def models(manager: BindingManager[Any], name: str, config: Mapping[str, Any] | None) -> list[str]:
    """What ``list_models`` of a binding says; empty, with a warning, where the binding is not to be had."""
    binding = manager.create_binding(name, **dict(config or {}))
    if binding is None:
        return []
    with binding:
        found: list[str] = binding.list_models()
        return found
