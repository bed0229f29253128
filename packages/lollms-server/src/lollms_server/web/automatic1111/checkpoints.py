"""The models that draw, and which of them the caller has chosen."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lollms_server.jobs.owners import owner_of
from lollms_server.room.errors import ModelNotServed
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import find
from lollms_server.web.lollms import lists


class OptionsBody(RequestBody):
    """Of ``/sdapi/v1/options``: what it says beside the model is of a program that this is not, and is passed over."""

    sd_model_checkpoint: str | None = Field(None, description="A title of /sdapi/v1/sd-models.", max_length=400)


async def list_models(asked: Asked) -> Answer:
    """All models that draw, and each with its binding's own."""
    rows = [
        {"title": name, "model_name": name, "hash": None, "sha256": None, "filename": name, "config": None}
        for name in await lists.names(asked, "tti")
    ]
    return await big_json_answer(rows)


async def get_options(asked: Asked) -> Answer:
    """The model that draws for the caller."""
    names = [model.name for model in lists.served(asked, "tti")]
    chosen = chosen_by(asked) or (names[0] if names else None)
    return json_answer({"sd_model_checkpoint": chosen, "sd_checkpoint_hash": None, "samples_format": "png"})


async def set_options(asked: Asked) -> Answer:
    """Choose a model, for the caller alone.

    Raises:
        ModelNotServed: there is none of that name for it.
    """
    body = await asked.body(OptionsBody)
    if body.sd_model_checkpoint is not None:
        chosen = find(asked, body.sd_model_checkpoint, "tti")
        if chosen.model is not None and chosen.model not in await asked.room.binding_models(chosen):
            raise ModelNotServed(f"{chosen.served.name} has no model {chosen.model!r:.100}.", hint="See sd-models.")
        asked.app.desk.choose(owner_of(asked.caller), chosen.name)
    return json_answer(None)


def chosen_by(asked: Asked, override: Any = None) -> str | None:
    """The name of the model that is meant: the request's own, the one that the caller has chosen, or None."""
    if isinstance(override, str) and override:
        return override
    name = asked.app.desk.chosen(owner_of(asked.caller))
    try:
        return None if name is None else find(asked, name, "tti").name
    except ModelNotServed:
        return None  # it was, when it was chosen
