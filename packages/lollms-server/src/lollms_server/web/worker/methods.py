"""What else than a verb a served binding can be asked for: lists, its forms, its model. Each goes through the room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import OptionError, VoiceNotFoundError

from lollms_server.room.callers import Caller
from lollms_server.room.models import Chosen

if TYPE_CHECKING:
    from lollms_server.room.room import Room

ALWAYS = frozenset(("get_settings", "set_settings", "get_options", "is_loaded", "load", "unload"))
METHODS = frozenset(("describe_voices", "keep_voice", "drop_voice"))  # where the binding has them, as it has its lists
_TAKES = {"keep_voice": 3, "drop_voice": 1}
_VOICE = ("name", "language", "gender", "sample", "default")


async def method(
    room: Room, caller: Caller, chosen: Chosen, name: str, positional: list[Any], arguments: dict[str, Any]
) -> Any:
    """Ask a binding for something that is no verb: of ``ALWAYS`` (but for settings), of ``METHODS``, or a list.

    Raises:
        OptionError: arguments that it does not take.
        LollmsError: what the room says.
    """
    verb = arguments.pop("verb", "") if name == "get_options" else ""
    if len(positional) != _TAKES.get(name, 0) or arguments or not isinstance(verb, str):
        raise OptionError(f"{name} of a served binding takes no such arguments.", names=sorted(arguments))
    if name == "list_voices":
        return [*await room.voices(chosen), *room.recorded.names(chosen, caller)]
    if name == "describe_voices":
        rows = await room.recorded.rows(chosen, caller)
        return [{**{key: row[key] for key in _VOICE if key in row}, "sample": None} for row in rows]
    if name == "keep_voice":
        called, recording, consent = positional
        if not (isinstance(called, str) and isinstance(consent, str) and isinstance(recording, (bytes, Path))):
            raise OptionError("A voice has a name, a recording and somebody's consent.")
        await room.recorded.add(chosen, caller, called, recording, consent)
        return None
    if name == "drop_voice":
        voice = room.recorded.meant(chosen, positional[0], caller) if isinstance(positional[0], str) else None
        if voice is None:
            raise VoiceNotFoundError(f"There is no registered voice {positional[0]!r:.80} of yours.")
        await room.recorded.remove(voice.id, caller, lambda model: room.find(model, "tts", caller))
        return None
    if name == "get_settings":
        rows = (await room.describe(chosen, caller))["settings"]
        return [{key: held for key, held in row.items() if key != "settable"} for row in rows]
    if name == "is_loaded":
        return any(
            row["loaded"] for row in room.state(caller)
            if (row["modality"], row["name"]) == (chosen.served.modality, chosen.served.name)
        )  # fmt: skip
    if name == "load":
        return await room.load(chosen, caller)
    if name == "unload":
        await room.unload(chosen, caller)
        return None
    if name == "list_models":
        return await room.binding_models(chosen)
    if name == "get_options":
        return await room.look(chosen, lambda binding: binding.get_options(verb=verb))
    return await room.look(chosen, lambda binding: getattr(binding, name)())
