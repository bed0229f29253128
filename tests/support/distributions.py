"""Distributions as an installer leaves them: written into a folder, for discovery to find."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def install(folder: Path, name: str, points: str, requires: Iterable[str] = ()) -> Path:
    """Write the metadata of a distribution ``name`` 1.0 into ``folder``; gives the folder of its metadata.

    Args:
        folder: where distributions are found; made if it is not there.
        name: of the distribution.
        points: the text of its ``entry_points.txt``.
        requires: what it requires, each as in ``Requires-Dist``.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {r}" for r in requires)]
    (info / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
    (info / "entry_points.txt").write_text(points, "utf-8")
    return info
