"""What the core and other distributions do for every binding, by metadata alone: who speaks, when each word is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lollms_modalities.contract.providers import GROUP
from lollms_modalities.entry_points.metadata import read_entry_points
from lollms_modalities.entry_points.refs import Told
from lollms_modalities.finding.mending import install_command


def provider_distributions() -> dict[str, list[str]]:
    """Which distributions offer a provider, by its kind."""
    found: dict[str, list[str]] = {}
    for entry in read_entry_points(GROUP):
        told = Told(entry.dist)
        found.setdefault(entry.name, []).append(f"{told['Name']} {told['Version']}".strip() or entry.value)
    return found


def done_around(description: Mapping[str, Any], capabilities: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a binding can do because it is done for it, or itself; and by whom."""
    verbs, providers = description["verbs"], provider_distributions()
    common = {name for verb in verbs.values() for name in verb.get("common", ())}
    if "diarize" in common:
        yield "diarize", _by(description, "diarize", providers.get("diarizer"), "speakers")
    if description["modality"] == "tts":
        own = "word" in capabilities.get("timestamps", ())
        yield "words", "by its engine" if own else _by(description, "", providers.get("aligner"), "align")
    if "transcribe_live" in verbs:
        yield "live", "yes: lollms listen"
    for name, command in (("edit_images", "edit"), ("upscale_image", "upscale"), ("remove_background", "cut-out")):
        if name in verbs:
            yield command, f"yes: lollms {command}"
    if capabilities.get("keeps_voices"):
        yield "own voices", "yes: lollms voices add"


def _by(description: Mapping[str, Any], option: str, distributions: list[str] | None, extra: str) -> str:
    if option and option in description["options"].get("properties", {}):
        return "by its engine"
    return f"by {distributions[0]}" if distributions else f"by none that is installed: {install_command(extra)}"
