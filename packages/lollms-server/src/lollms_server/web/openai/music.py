"""``/v1/music``: music, of which OpenAI's API has no shape. It is that of videos."""

from __future__ import annotations

from typing import Any, Literal

from lollms_server.web import jobs
from lollms_server.web.answers import Answer
from lollms_server.web.asked import Asked
from lollms_server.web.common import meant
from lollms_server.web.openai import job_shape

VERB = "generate_music"


class MusicBody(job_shape.JobBody):
    """Of ``/v1/music``."""

    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "ogg"] | None = None


async def create_music(asked: Asked) -> Answer:
    """Have music made."""
    body = await asked.body(MusicBody)
    model = await meant(asked, body.model, "ttm", VERB)
    own: dict[str, Any] = job_shape.length(model, body.seconds, body.options)
    if body.response_format is not None:
        own["output_format"] = body.response_format
    shown = {"seconds": body.seconds}
    return await job_shape.create(asked, "music", "ttm", VERB, body, own, shown, ("audio", "melody"))


async def list_music(asked: Asked) -> Answer:
    """The caller's music."""
    return await job_shape.listed(asked, "music")


async def get_music(asked: Asked) -> Answer:
    """One piece, as far as it is."""
    return await job_shape.get(asked, "music")


async def delete_music(asked: Asked) -> Answer:
    """Delete a piece; one that is being made is cancelled."""
    return await job_shape.remove(asked, "music")


async def music_content(asked: Asked) -> Answer:
    """The sound itself."""
    return await jobs.content(asked, await job_shape.found(asked, "music"), 0)
