"""What there is, as both generations list it."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import LollmsError

from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import ServedModel
from lollms_server.web.asked import Asked
from lollms_server.web.common import find

MAIN_VOICE = "main_voice"  # the default one, in the words of these clients


def served(asked: Asked, modality: str) -> list[ServedModel]:
    """The models of a kind that are for the caller, the default first."""
    models = [model for model in asked.room.models(asked.caller) if model.modality == modality]
    try:
        default = asked.room.find(None, modality, asked.caller).served
    except ModelNotServed:
        return models
    return sorted(models, key=lambda model: model is not default)


async def names(asked: Asked, modality: str) -> list[str]:
    """Names that a request may have as its model: of each model, and of it with each of its binding's own."""
    models = served(asked, modality)
    own = await asyncio.gather(*(_own(asked, model) for model in models))
    return [name for model, rest in zip(models, own, strict=True) for name in (model.name, *rest)]


async def _own(asked: Asked, model: ServedModel) -> list[str]:
    try:
        found = await asked.room.binding_models(find(asked, model.name, model.modality))
    except LollmsError:
        return []  # one that cannot be asked hides no other
    return [f"{model.name}/{name}" for name in found]


async def voices(asked: Asked) -> list[dict[str, Any]]:
    """The voices of the default speech model that are for the caller, with the names that the operator gave them."""
    models = served(asked, "tts")
    if not models:
        return []
    rows = await asked.room.recorded.rows(find(asked, models[0].name, "tts"), asked.caller)
    known = {row["id"] for row in rows}
    return [*rows, *({"id": name, "name": name} for name in models[0].voices if name not in known)]
