"""``/v1/audio/voices``: a list that each of its readers understands."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import LollmsError

from lollms_server.room.models import ServedModel
from lollms_server.web.answers import Answer, big_json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.common import find


async def list_voices(asked: Asked) -> Answer:
    """The voices of all speech models, or of one: under ``data``, ``voices`` and ``items``, since readers differ."""
    name = asked.query.get("model")
    if name is not None:
        models = [find(asked, name, "tts").served]
    else:
        models = [model for model in asked.room.models(asked.caller) if model.modality == "tts"]
    found = await asyncio.gather(*(_rows(asked, model) for model in models), return_exceptions=True)
    rows: list[dict[str, Any]] = []
    for each in found:
        if isinstance(each, list):
            rows += each
        # One model that cannot be asked hides no other's voices; named alone it says why.
        elif name is not None or not isinstance(each, LollmsError):
            raise each
    return await big_json_answer({"object": "list", "data": rows, "voices": rows, "items": rows})


async def _rows(asked: Asked, model: ServedModel) -> list[dict[str, Any]]:
    chosen = find(asked, model.name, "tts")
    names = await asked.room.voices(chosen)
    aliases = [name for name in model.voices if name not in names]
    return [_row(name, model, "premade") for name in names] + [_row(name, model, "alias") for name in aliases]


def _row(name: str, model: ServedModel, category: str) -> dict[str, Any]:
    return {"id": name, "voice_id": name, "name": name, "language": None, "category": category, "model": model.name}
