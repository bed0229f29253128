"""What a served model is: its description, its lists, the names of its voices."""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

from lollms_modalities import MASK, LollmsBinding, VoiceNotFoundError, wire

from lollms_server.room.callers import Caller
from lollms_server.room.inputs import LISTS, closed_settings
from lollms_server.room.models import OPENAI_VOICES, Chosen
from lollms_server.room.residency import Residency
from lollms_server.room.resident import Resident


class Voice(NamedTuple):
    """What a voice's name means.

    Attributes:
        name: for the binding; None for its default voice.
        alias: the name that was asked for, where it is no name of the binding's; else None. To be told in a header.
    """

    name: str | None
    alias: str | None = None


async def described(residency: Residency, resident: Resident, caller: Caller) -> dict[str, Any]:
    """The model as JSON values: schemas, verbs, capabilities, settings, voices, models."""
    served = resident.served
    rows, capabilities, lists = await residency.look(resident, _all_of)
    resident.lists.update({kind: frozenset(names) for kind, names in lists.items()})
    told = resident.description or {}
    closed = closed_settings(rows)
    for row in rows:
        row["settable"] = caller.is_admin and row["name"] not in closed
        if row["name"] in closed and not caller.is_admin and row["value"] is not None:
            row["value"] = MASK  # where things are on this machine is nobody's business
    return {
        "name": served.name,
        "aliases": list(served.aliases),
        "modality": served.modality,
        "binding": served.binding,
        "description": told["description"],
        "engine": told["engine"],
        "engine_version": told["engine_version"],
        "loaded": resident.loaded,
        "at_once": resident.at_once,
        "settings": rows,
        "settings_schema": told["settings"],
        "options_schema": told["options"],
        "verbs": told["verbs"],
        "capabilities": capabilities,
        "voices": sorted(lists["voice"]) if "voice" in lists else None,
        "models": sorted(lists["model"]) if "model" in lists else None,
    }


async def class_of(residency: Residency, resident: Resident) -> tuple[dict[str, Any], wire.Origin]:
    """The binding's class as JSON values, with as many calls side by side as the model works on; and whose it is."""
    origin = await residency.look(resident, lambda binding: type(binding).origin())
    assert resident.description is not None
    return {**resident.description, "concurrency": resident.at_once}, origin


def state_of(resident: Resident, caller: Caller) -> dict[str, Any]:
    """The model as it is now: loaded, queue, memory."""
    return {
        "name": resident.served.name,
        "modality": resident.served.modality,
        "loaded": resident.loaded,
        "at_work": resident.queue.at_work,
        "waiting": resident.queue.waiting,
        "memory": resident.memory() if caller.is_admin else None,
        "idle": resident.idle_seconds(),
    }


def _all_of(binding: LollmsBinding) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, list[str]]]:
    lists = {kind: list(getattr(binding, name)()) for kind, name in LISTS.items() if hasattr(binding, name)}
    return binding.get_settings(), binding.capabilities.to_json(), lists


async def listed(residency: Residency, resident: Resident, kind: str) -> list[str]:
    """The binding's voices ("voice") or models ("model"), as it lists them; none where it has no such list."""

    def ask(binding: LollmsBinding) -> list[str]:
        return list(getattr(binding, LISTS[kind])()) if hasattr(binding, LISTS[kind]) else []

    names = await residency.look(resident, ask)
    resident.lists[kind] = frozenset(names)
    return names


def voice_of(known: list[str], chosen: Chosen, name: str) -> Voice:
    """What a voice's name means to the model.

    A name of the binding's own comes first, then those of the configuration. OpenAI's mean the default voice.

    Raises:
        VoiceNotFoundError: nothing.
    """
    if name in known:
        return Voice(name)
    if (meant := chosen.served.voices.get(name)) is not None:
        return Voice(meant, name)
    if name in OPENAI_VOICES:
        return Voice(None, name)
    near = difflib.get_close_matches(name, [*known, *chosen.served.voices], 1, 0.5)
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    raise VoiceNotFoundError(
        f"{chosen.name} has no voice {name!r:.100}.",
        hint=f"Did you mean {near[0]!r}?" if near else f"Known ones: {shown}." if known else "It lists none.",
    )
