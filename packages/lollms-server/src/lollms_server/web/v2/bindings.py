"""The served bindings: what they are, what they list, what they are set to, whether they are loaded."""

from __future__ import annotations

from typing import Any

from lollms_modalities import CONTRACT_VERSION, wire
from pydantic import Field

from lollms_server import __version__
from lollms_server.room.models import Chosen
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import find
from lollms_server.web.worker.acts import MINOR

PROTOCOL = "lollms/v2"


class SettingsBody(RequestBody):
    """New settings."""

    settings: dict[str, Any] = Field(description="Name to value; what is not named stays as it is.")


async def about(asked: Asked) -> Answer:
    """What this server speaks: by these versions a client knows what it may ask for."""
    return json_answer(
        {
            "protocol": PROTOCOL,
            "server": "lollms-server",
            "version": __version__,
            "contract": CONTRACT_VERSION,
            "worker_protocol": f"{wire.VERSION}.{MINOR}",
        }
    )


async def list_bindings(asked: Asked) -> Answer:
    """All bindings that are served to the caller, and how busy they are."""
    now = {(row["modality"], row["name"]): row for row in asked.room.state(asked.caller)}
    rows = [
        {"binding": served.binding, "aliases": list(served.aliases), **now[served.key]}
        for served in asked.room.models(asked.caller)
    ]
    return json_answer({"object": "list", "data": rows})


async def describe(asked: Asked) -> Answer:
    """A binding: verbs, JSON schemas of options and settings, settings, capabilities, voices, models."""
    return await big_json_answer(await asked.room.describe(_chosen(asked), asked.caller))


async def list_voices(asked: Asked) -> Answer:
    """What is known of the voices that are for the caller."""
    rows = await asked.room.recorded.rows(_chosen(asked), asked.caller)
    return await big_json_answer({"object": "list", "data": rows})


async def set_settings(asked: Asked) -> Answer:
    """Set what may be set over HTTP: nothing that names a path, a program, an address or an environment."""
    body = await asked.body(SettingsBody)
    await asked.room.set_settings(_chosen(asked), body.settings, asked.caller)
    return json_answer({"changed": sorted(body.settings)})


async def load(asked: Asked) -> Answer:
    """Load a model now."""
    await asked.room.load(_chosen(asked), asked.caller)
    return json_answer({"loaded": True})


async def unload(asked: Asked) -> Answer:
    """Unload a model that is not at work."""
    return json_answer({"unloaded": bool(await asked.room.unload(_chosen(asked), asked.caller))})


def _chosen(asked: Asked) -> Chosen:
    return find(asked, asked.params["name"], asked.params["modality"])
