"""Whether a binding's name is taken: by one that is installed, or by one of ours that is not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata

from lollms_modalities.finding.bindings import find_bindings


def taken(name: str, modality: str) -> Iterator[str]:
    """What is known of others of that name, each in a sentence."""
    for ref in find_bindings(modality):
        if name in ref.names:
            yield (
                f"the name {name!r} is taken: {ref.distribution} {ref.version}, which is installed, has a {modality} "
                "binding of that name. Where both are installed, one hides the other."
            )
            return
    distribution = f"lollms-{name.replace('_', '-')}"
    if distribution in _ours():
        yield f"the name {name!r} is taken: {distribution} is a distribution of this project, which is not installed."


def _ours() -> set[str]:
    """The distributions that the client's extras name."""
    try:
        needs = metadata("lollms-client").get_all("Requires-Dist") or []
    except PackageNotFoundError:
        return set()
    return {need.split("[")[0].split(">")[0].split(";")[0].strip() for need in needs}
