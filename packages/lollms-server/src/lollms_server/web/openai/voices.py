"""``/v1/audio/voices``: a list that each of its readers understands, and recordings that become voices."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import LollmsError
from pydantic import Field

from lollms_server.room.models import ServedModel
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody, refuse_unknown
from lollms_server.web.common import check_recording, find

_LONGEST = 120.0  # seconds of a recording that a voice is learnt from


class VoiceBody(RequestBody):
    """A voice to be registered."""

    name: str = Field(description="What you call it.", min_length=1, max_length=64)
    consent: str = Field(description="Who attests, and when, that the person agrees.", min_length=1, max_length=1000)
    model: str | None = Field(None, description="The speech model that is to keep it.")


async def list_voices(asked: Asked) -> Answer:
    """The voices of all speech models, or of one: under ``data``, ``voices`` and ``items``, since readers differ."""
    name = asked.query.get("model")
    if name is not None:
        models = [find(asked, name, "tts").served]
    else:
        models = [model for model in asked.room.models(asked.caller) if model.modality == "tts"]
    found = await asyncio.gather(*(rows_of(asked, model) for model in models), return_exceptions=True)
    rows: list[dict[str, Any]] = []
    for each in found:
        if isinstance(each, list):
            rows += each
        # One model that cannot be asked hides no other's voices; named alone it says why.
        elif name is not None or not isinstance(each, LollmsError):
            raise each
    return await big_json_answer({"object": "list", "data": rows, "voices": rows, "items": rows})


async def rows_of(asked: Asked, model: ServedModel) -> list[dict[str, Any]]:
    """The voices of a model that are for whoever asks."""
    known = await asked.room.recorded.rows(find(asked, model.name, "tts"), asked.caller)
    names = {row["id"] for row in known}
    aliases = [{"id": name, "name": name, "own": False} for name in model.voices if name not in names]
    return [
        {
            "id": row["id"],
            "voice_id": row["id"],
            "name": row["name"],
            "language": row.get("language") or None,
            "gender": row.get("gender") or None,
            "category": "cloned" if row["own"] else "premade",
            "model": model.name,
        }
        for row in (*known, *aliases)
    ]


async def add_voice(asked: Asked) -> Answer:
    """Register a recording as a voice. It is for whoever has this key alone."""
    body = await asked.body(VoiceBody)
    refuse_unknown(body.options, VoiceBody.model_fields, "A voice")
    upload = asked.form.file("audio_sample")
    await check_recording(upload.path, _LONGEST)
    chosen = find(asked, body.model, "tts")
    voice = await asked.room.recorded.add(chosen, asked.caller, body.name, upload.path, body.consent)
    return json_answer(
        {"id": voice.id, "voice_id": voice.id, "object": "audio.voice", "name": voice.name, "model": voice.model,
         "created_at": int(voice.created)},
    )  # fmt: skip


async def remove_voice(asked: Asked) -> Answer:
    """Remove a voice that was registered: its recording, and all that was learnt from it."""
    voice_id = asked.params["id"]
    await asked.room.recorded.remove(voice_id, asked.caller, lambda model: find(asked, model, "tts"))
    return json_answer({"id": voice_id, "object": "audio.voice.deleted", "deleted": True})
