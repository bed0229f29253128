"""``/v1/models``, and lists of the kind that readers ask for beside it."""

from __future__ import annotations

from typing import Any

from lollms_server.room.models import ServedModel
from lollms_server.web.answers import Answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.errors import Refused


async def list_models(asked: Asked) -> Answer:
    """All models."""
    return json_answer({"object": "list", "data": [_row(model) for model in _models(asked)]})


async def list_audio_models(asked: Asked) -> Answer:
    """Those of speech."""
    rows = [{**_row(model), "name": model.name} for model in _models(asked) if model.modality == "tts"]
    return json_answer({"object": "list", "data": rows, "models": rows})


async def get_model(asked: Asked) -> Answer:
    """One model. A name that several kinds have is one row."""
    name = asked.params["model"]
    for model in _models(asked):
        if name == model.name:
            return json_answer(_row(model))
    for modality in ("tts", "stt", "tti", "ttm", "ttv"):
        try:
            chosen = asked.room.find(name, modality, asked.caller)
        except LookupError:
            continue
        if chosen.model is not None and chosen.model not in await asked.room.binding_models(chosen):
            continue
        return json_answer({**_row(chosen.served), "id": name})
    raise Refused(f"There is no model {name!r:.100} here.", status=404, code="model_not_found", param="model")


def _models(asked: Asked) -> list[ServedModel]:
    return list(asked.room.models(asked.caller))


def _row(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": model.binding,
        "modality": model.modality,
        "aliases": list(model.aliases),
    }
