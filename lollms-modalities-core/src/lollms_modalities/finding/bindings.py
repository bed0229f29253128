"""Which bindings there are: here, in an extra folder, in environments; and which of them a name means."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.entry_points.metadata import entry_points_in
from lollms_modalities.entry_points.refs import ORIGINS, installed_bindings, memory, read_refs

if TYPE_CHECKING:
    from lollms_modalities.entry_points.refs import BindingRef


def find_bindings(modality: str, directory: str | None = None) -> list[BindingRef]:
    """The bindings of a modality; ``candidates`` tells which of them a name means.

    Args:
        modality: one of ``MODALITIES``.
        directory: an extra folder of installed distributions, looked at after the installed ones. One that does not
            exist, or holds none, is empty.
    """
    found = installed_bindings(modality)
    if directory is not None:
        there = memory().of(f"directory {directory}", lambda: read_refs(entry_points_in(directory), directory))
        have = {(ref.distribution, ref.target) for ref in found}
        # Once the folder is on sys.path its distributions are seen as installed too.
        found += [r for r in there[modality] if (r.distribution, r.target) not in have]
    return found + memory().of("environments", _in_environments)[modality]


def _in_environments() -> dict[str, list[BindingRef]]:
    from lollms_modalities.environments.environment import list_environments

    found: dict[str, list[BindingRef]] = {modality: [] for modality in MODALITIES}
    for environment in list_environments():
        for site in environment.site_packages:
            for modality, refs in read_refs(entry_points_in(site), None, environment.name).items():
                found[modality] += refs
    return found


def candidates(refs: Iterable[BindingRef], name: str) -> list[BindingRef]:
    """The bindings that claim ``name``, the one that is used first: by place, then by name of the distribution.

    Of several environments that have it, the one that is called like it comes first.
    """
    found = [ref for ref in refs if name in ref.names]
    if len(found) > 1:
        found.sort(
            key=lambda ref: (
                ORIGINS.index(ref.origin), ref.distribution.lower(), ref.target, ref.environment not in ref.names
            )
        )  # fmt: skip
    return found


def put_on_path(ref: BindingRef) -> None:
    """Make the modules of a binding from an extra folder importable, after all others."""
    if ref.directory is not None and ref.directory not in sys.path:
        sys.path.append(ref.directory)
