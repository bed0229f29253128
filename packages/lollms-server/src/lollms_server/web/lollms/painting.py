"""Images as lollms-webui has them: one JPEG, and the settings of what draws."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from lollms_modalities import SettingsError, read_media
from pydantic import Field

from lollms_server.room.errors import NotAllowed
from lollms_server.room.inputs import closed_settings
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import find, ignored, meant
from lollms_server.web.errors import Refused, told
from lollms_server.web.lollms import lists
from lollms_server.web.openai import drawing

_FORM = ("name", "type", "value", "description", "options", "min", "max", "is_secret")


class ClientBody(RequestBody):
    """Of who asks for lists or settings."""

    client_id: str | None = Field(None, max_length=400, description="A key of this server, where it has any.")


class PaintBody(ClientBody):
    """Of ``/generate_image``."""

    prompt: str = Field(description="What to show.", min_length=1)
    negative_prompt: str | None = Field(None, description="What not to show.")
    width: int | None = Field(None, ge=1, le=8192)
    height: int | None = Field(None, ge=1, le=8192)


class SettingsBody(ClientBody):
    """Of ``/set_active_tti_settings``."""

    settings: list[dict[str, Any]] | dict[str, Any] = Field(description="Rows with name and value, or name to value.")


async def generate(asked: Asked) -> Answer:
    """Draw an image."""
    body = await asked.body(PaintBody)
    if len(body.prompt) > asked.settings.limits.text:
        raise Refused(f"The prompt has {len(body.prompt)} characters.", code="too_long", param="prompt")
    model = await meant(asked, None, "tti", drawing.ONE)
    named = {"negative_prompt": body.negative_prompt or None, "width": body.width, "height": body.height}
    given = body.options | {name: value for name, value in named.items() if value is not None}
    options, left_out = model.options.parted(given)
    arguments = {
        "prompt": body.prompt, **model.options.checked(options, what=model.chosen.name), "output_format": "jpeg"
    }  # fmt: skip
    image = (await drawing.drawn(asked, model, drawing.ONE, 1, arguments))[0]
    text = await asyncio.to_thread(lambda: base64.b64encode(read_media(image)).decode("ascii"))
    return await big_json_answer({"image": text}, model.headers | ignored(left_out))


async def list_services(asked: Asked) -> Answer:
    """The models that draw."""
    await asked.body(ClientBody)
    rows = [{"name": model.name, "caption": model.name, "help": model.binding} for model in lists.served(asked, "tti")]
    return json_answer(rows)


async def get_settings(asked: Asked) -> Answer:
    """The settings of the default model that draws: rows of a form, without what is secret or names a place."""
    await asked.body(ClientBody)
    rows = await _rows(asked)
    closed = closed_settings(rows)
    shown = [row for row in rows if row["name"] not in closed and not row.get("is_secret")]
    return json_answer([{name: row[name] for name in _FORM if name in row} for row in shown])


async def set_settings(asked: Asked) -> Answer:
    """Set those that have another value now, which is for admins. A refusal is told as these clients read it."""
    body = await asked.body(SettingsBody)
    if isinstance(body.settings, dict):
        values = dict(body.settings)
    else:
        values = {str(row.get("name")): row.get("value") for row in body.settings}
    before = {row["name"]: row["value"] for row in await _rows(asked)}
    changes = {name: value for name, value in values.items() if name not in before or before[name] != value}
    try:
        await asked.room.set_settings(find(asked, None, "tti"), changes, asked.caller)
    except (NotAllowed, SettingsError) as exc:
        return json_answer({"status": False, "error": told(exc).body["detail"]})
    return json_answer({"status": True})


async def _rows(asked: Asked) -> list[dict[str, Any]]:
    if not lists.served(asked, "tti"):
        return []
    rows: list[dict[str, Any]] = (await asked.room.describe(find(asked, None, "tti"), asked.caller))["settings"]
    return rows
