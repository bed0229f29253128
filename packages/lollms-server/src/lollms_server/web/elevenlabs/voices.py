"""``/v1/voices``, ``/v2/voices`` and ``/v1/models``."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import LollmsError, VoiceNotFoundError
from lollms_modalities.kit import WHISPER_LANGUAGES

from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import ServedModel
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.common import default_model, find
from lollms_server.web.elevenlabs.asking import MARK
from lollms_server.web.errors import Refused
from lollms_server.web.openai.voices import rows_of

SEARCH = {
    "search": "Part of a voice's name, id or language.", "category": "premade or cloned.", "voice_ids": "One id.",
    "language": "Of the voices.", "page_size": "Up to 100.", "next_page_token": "Of the page before.",
}  # fmt: skip


async def all_voices(asked: Asked) -> Answer:
    """All voices."""
    return await big_json_answer({"voices": await _all(asked)})


async def get_voice(asked: Asked) -> Answer:
    """One voice."""
    wanted = asked.params["voice"]
    for row in await _all(asked):
        if row["voice_id"] == wanted:
            return json_answer(row)
    raise VoiceNotFoundError(f"There is no voice {wanted!r:.100}.", hint="/v1/voices lists them.")


async def search_voices(asked: Asked) -> Answer:
    """Voices by name, in pages."""
    query = asked.query
    words = query.get("search", "").lower()
    rows = [
        row for row in await _all(asked)
        if (not words or words in " ".join((row["voice_id"], row["name"], *row["labels"].values())).lower())
        and query.get("category", row["category"]) == row["category"]
        and query.get("voice_ids", row["voice_id"]) == row["voice_id"]
        and query.get("language", "") in ("", row["labels"].get("language", "").partition("-")[0])
    ]  # fmt: skip
    start, size = _number(query, "next_page_token", 0, 10**6), _number(query, "page_size", 10, 100)
    page = rows[start : start + max(1, size)]
    more = start + len(page) < len(rows)
    return await big_json_answer({
        "voices": page, "has_more": more, "total_count": len(rows),
        "next_page_token": str(start + len(page)) if more else None,
    })  # fmt: skip


async def list_models(asked: Asked) -> Answer:
    """The models that speak: a list, without anything around it."""
    models = [model for model in asked.room.models(asked.caller) if model.modality == "tts"]
    told = await asyncio.gather(*(_described(asked, model) for model in models))
    return json_answer([
        {
            "model_id": model.name,
            "name": model.name,
            "description": about.get("description", ""),
            "can_be_finetuned": False,
            "can_do_text_to_speech": True,
            "can_do_voice_conversion": False,
            "can_use_style": False,
            "can_use_speaker_boost": False,
            "serves_pro_voices": False,
            "token_cost_factor": 0.0,
            "requires_alpha_access": False,
            "maximum_text_length_per_request": asked.settings.limits.text,
            "languages": [_language(tag) for tag in about.get("capabilities", {}).get("languages", ())],
        }
        for model, about in zip(models, told, strict=True)
    ])  # fmt: skip


async def _described(asked: Asked, model: ServedModel) -> dict[str, Any]:
    try:
        return await asked.room.describe(find(asked, model.name, "tts"), asked.caller)
    except LollmsError:  # one that cannot be asked hides no other
        return {}


async def _all(asked: Asked) -> list[dict[str, Any]]:
    models = [model for model in asked.room.models(asked.caller) if model.modality == "tts"]
    try:
        default = default_model(asked.room, "tts", asked.caller).served
    except ModelNotServed:
        return []
    models.sort(key=lambda model: model is not default)
    found = await asyncio.gather(*(rows_of(asked, model) for model in models), return_exceptions=True)
    rows = []
    for model, each in zip(models, found, strict=True):
        if isinstance(each, BaseException):
            if not isinstance(each, LollmsError):
                raise each
            continue
        rows += [_voice(model, row, own=model is default) for row in each]
        if not each:  # which speaks with one voice that has no name
            rows.append(_voice(model, {"id": "", "name": model.name, "category": "premade"}, own=False))
    return rows


def _voice(model: ServedModel, row: dict[str, Any], *, own: bool) -> dict[str, Any]:
    name = row["id"] if own else f"{model.name}{MARK}{row['id']}" if row["id"] else model.name
    labels = {key: row[key] for key in ("language", "gender") if row.get(key)}
    return {
        "voice_id": name,
        "name": row["name"],
        "category": row["category"],
        "labels": labels | {"model": model.name},
        "description": None,
        "preview_url": None,
        "samples": None,
        "settings": None,
        "available_for_tiers": [],
        "high_quality_base_model_ids": [model.name],
        "is_owner": row["category"] == "cloned",
    }


def _language(tag: str) -> dict[str, str]:
    names = WHISPER_LANGUAGES.get(tag.partition("-")[0].lower())
    return {"language_id": tag, "name": names[0] if names else tag}


def _number(query: dict[str, str], name: str, usual: int, most: int) -> int:
    said = query.get(name)
    if said is None:
        return usual
    if not said.isascii() or not said.isdigit() or len(said) > 7 or int(said) > most:
        raise Refused(f"{name} is {said!r:.40}.", code="invalid_value", param=name, hint=f"Up to {most}.")
    return int(said)
