"""``/v1/videos``: films, each of which is a job."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lollms_server.web import jobs
from lollms_server.web.answers import Answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody, refuse_unknown
from lollms_server.web.common import meant
from lollms_server.web.errors import Refused
from lollms_server.web.openai import job_shape

VERB = "generate_video"
_VARIANTS = ("video", "thumbnail")


class VideoBody(job_shape.JobBody):
    """Of ``/v1/videos``."""

    size: str | None = Field(None, description="WIDTHxHEIGHT in pixels, or auto.", pattern=job_shape.SIZE)


class RemixBody(RequestBody):
    """Of ``/v1/videos/{id}/remix``."""

    prompt: str = Field(description="What is to be another.", min_length=1)


async def create_video(asked: Asked) -> Answer:
    """Have a film made."""
    body = await asked.body(VideoBody)
    model = await meant(asked, body.model, "ttv", VERB)
    own: dict[str, Any] = job_shape.length(model, body.seconds, body.options)
    if body.size not in (None, "auto"):
        width, _, height = str(body.size).partition("x")
        own |= {"width": int(width), "height": int(height)}
    shown = {"seconds": body.seconds, "size": None if body.size == "auto" else body.size}
    return await job_shape.create(asked, "video", "ttv", VERB, body, own, shown, ("image", "init_image", "video"))


async def list_videos(asked: Asked) -> Answer:
    """The caller's films."""
    return await job_shape.listed(asked, "video")


async def get_video(asked: Asked) -> Answer:
    """One film, as far as it is."""
    return await job_shape.get(asked, "video")


async def delete_video(asked: Asked) -> Answer:
    """Delete a film; one that is being made is cancelled."""
    return await job_shape.remove(asked, "video")


async def video_content(asked: Asked) -> Answer:
    """The film itself, or a small picture of its beginning."""
    job = await job_shape.found(asked, "video")
    variant = asked.query.get("variant", "video")
    if variant not in _VARIANTS:
        raise Refused(
            f"There is no variant {variant!r:.40}.", code="invalid_value", param="variant",
            hint=f"There are {' and '.join(_VARIANTS)}.",
        )  # fmt: skip
    asked.app.jobs.file(job, 0)
    number = 0 if variant == "video" or job.result is None else job.result.get("thumbnail")
    if number is None:
        raise Refused("Of this film no picture could be made.", status=404, code="not_found", param="variant")
    return await jobs.content(asked, job, number)


async def remix_video(asked: Asked) -> Answer:
    """Have a film made again with another prompt: from the film itself where the model takes one, else alike.

    Alike is of the same size, length and seed.
    """
    body = await asked.body(RemixBody)
    refuse_unknown(body.options, RemixBody.model_fields, "A remix")
    before = await job_shape.found(asked, "video")
    asked.app.jobs.file(before, 0)
    model = await meant(asked, before.model, "ttv", VERB)
    options: dict[str, Any] = dict(before.request.get("options", {}))
    if "video" in model.options.media:
        file, _ = await asked.app.jobs.opened(before, 0)
        with file:
            options["video"] = await asked.app.jobs.aside(file.read)
    elif model.options.has("seed"):
        made = (before.result or {}).get("provenance") or {}
        options["seed"] = made.get("seed") or options.get("seed")
    else:
        raise Refused(f"The model {model.chosen.name} makes nothing of a film.", code="unsupported")
    shown = {name: before.shown.get(name) for name in ("seconds", "size")} | {"remixed_from": before.id}
    return await job_shape.made(asked, "video", model, VERB, {"prompt": body.prompt, **options}, shown)
