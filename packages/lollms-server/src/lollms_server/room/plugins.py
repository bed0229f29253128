"""The plug-ins that hear of the calls."""

from __future__ import annotations

from importlib.metadata import entry_points


def installed() -> list[str]:
    """The plug-ins with their distributions, by metadata."""
    found = entry_points(group="lollms_client.plugins")
    return sorted(f"{entry.name} ({entry.dist.name if entry.dist else entry.value})" for entry in found)
