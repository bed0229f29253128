"""Jobs as OpenAI's API has them for videos: made, listed, fetched, deleted. Music has the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from lollms_server.jobs.job import Job
from lollms_server.jobs.requests import Request
from lollms_server.web import jobs
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import Meant, check_image, check_recording, meant
from lollms_server.web.errors import Refused
from lollms_server.web.options import decoded
from lollms_server.web.v2.jobs import percent

POLL = {"openai-poll-after-ms": "1000"}
SIZE = r"^(auto|[0-9]{1,5}x[0-9]{1,5})$"


# A number, which OpenAI's API has as a text.
Seconds = Annotated[float, WithJsonSchema({"type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 3600})]


class JobBody(RequestBody):
    """Of what makes a job."""

    prompt: str = Field(description="What is to be made.", min_length=1)
    model: str | None = Field(None, description="A model of /v1/models; the default one where it is left out.")
    seconds: Annotated[Seconds, Field(gt=0, le=3600)] | None = Field(None, description="How long it is to last.")
    input_reference: str | dict[str, Any] | None = Field(
        None, description="What it begins with: a data URL, {image_url: a data URL}, or the file of a form."
    )
    keep_alive: float | None = Field(None, description="Seconds after which the model may be unloaded.", ge=0, le=86400)
    user: str | None = Field(None, description="Nobody looks at it.")


async def create(
    asked: Asked, kind: str, modality: str, verb: str, body: JobBody, own: Mapping[str, Any], shown: Mapping[str, Any],
    references: tuple[str, ...],
) -> Answer:  # fmt: skip
    """Make a job of a body.

    Args:
        own: what the surface's fields say to the binding, by the names of its options.
        shown: what the surface is to tell of it, beside the prompt.
        references: names of the options, one of which takes the file that it begins with.
    """
    model = await meant(asked, body.model, modality, verb)
    for name in own:
        if not model.options.has(name):
            raise Refused(f"The model {model.chosen.name} has no {name}.", code="unsupported", param=_FIELDS.get(name))
    options = model.options.checked(
        {**body.options, **own}, also=type(body).model_fields, what=model.chosen.name, strict=not asked.is_form
    )  # fmt: skip
    reference = _reference(asked, body)
    if reference is not None:
        takes = [name for name in references if name in model.options.media]
        if not takes:
            raise Refused(
                f"The model {model.chosen.name} begins with nothing that is given.", code="unsupported",
                param="input_reference",
            )  # fmt: skip
        options[takes[0]] = reference
    for name in model.options.media & options.keys():
        for media in options[name] if isinstance(options[name], list) else [options[name]]:
            await _look_at(media, modality, asked)
    options = {"prompt": body.prompt, **options}
    return await made(asked, kind, model, verb, options, {"model": body.model, **shown}, body.keep_alive)


async def made(
    asked: Asked, kind: str, model: Meant, verb: str, options: Mapping[str, Any], shown: Mapping[str, Any],
    keep_alive: float | None = None,
) -> Answer:  # fmt: skip
    """The answer with the job that was made; ``options`` have its prompt."""
    most = asked.settings.limits.text
    if (size := len(options["prompt"])) > most:
        raise Refused(f"The prompt has {size} characters, and {most} are taken.", code="too_long", param="prompt")
    request = Request(options, "prompt", keep_alive=keep_alive)
    told_of = {"prompt": options["prompt"], **shown, "model": shown.get("model") or model.chosen.name}
    job = await asked.app.jobs.create(
        asked.caller, kind, model.chosen, verb, request, shown=told_of, idempotency=jobs.idempotency(asked)
    )
    return json_answer(told(job), 200, {**model.headers, **POLL})


_FIELDS = {"duration": "seconds", "num_frames": "seconds", "width": "size", "height": "size"}


def length(model: Meant, seconds: float | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """How a length in seconds is said to the binding: as such, or as a number of frames.

    Raises:
        Refused: it cannot be said.
    """
    if seconds is None:
        return {}
    if model.options.has("duration"):
        return {"duration": seconds}
    if model.options.has("num_frames"):
        fps = options.get("fps") or model.options.properties.get("fps", {}).get("default")
        fps = fps[0] if isinstance(fps, list) else fps
        try:
            return {"num_frames": max(1, round(seconds * float(fps)))}
        except (TypeError, ValueError, OverflowError):
            pass
    raise Refused(f"The model {model.chosen.name} has no length to choose.", code="unsupported", param="seconds")


def _reference(asked: Asked, body: JobBody) -> Path | bytes | None:
    if "input_reference" in asked.form.files:
        return asked.form.file("input_reference").path
    return None if body.input_reference is None else decoded("input_reference", body.input_reference)


async def _look_at(media: Path | bytes, modality: str, asked: Asked) -> None:
    if modality == "ttm":
        await check_recording(media, asked.settings.limits.audio_seconds)
    else:
        await check_image(media, asked.settings.limits.pixels)


def told(job: Job) -> dict[str, Any]:
    """A job in the shape of a video of OpenAI's."""
    value = (job.result or {}).get("value", {})
    error = None if job.error is None else {"code": job.error["code"], "message": job.error["message"]}
    seconds = value.get("seconds", job.shown.get("seconds"))
    shown = {
        "id": job.id, "object": job.kind, "status": job.state, "progress": percent(job),
        "model": job.shown.get("model", job.model), "prompt": job.shown.get("prompt"),
        "seconds": None if seconds is None else f"{seconds:g}", "created_at": int(job.created),
        "completed_at": None if job.ended is None else int(job.ended),
        "expires_at": None if job.expires is None else int(job.expires), "error": error,
    }  # fmt: skip
    if job.kind == "video":
        size = f"{value['width']}x{value['height']}" if "width" in value else job.shown.get("size")
        shown |= {"size": size, "remixed_from_video_id": job.shown.get("remixed_from")}
    return shown


async def found(asked: Asked, kind: str) -> Job:
    """The job that the path names, for this caller."""
    return await asked.app.jobs.found(asked.params["id"], asked.caller, (kind,))


async def get(asked: Asked, kind: str) -> Answer:
    """One job."""
    return json_answer(told(await found(asked, kind)), 200, POLL)


async def listed(asked: Asked, kind: str) -> Answer:
    """The caller's jobs."""
    rows, more = await jobs.listed(asked, (kind,))
    return await big_json_answer(jobs.page([told(job) for job in rows], more))


async def remove(asked: Asked, kind: str) -> Answer:
    """Delete a job with its results; one that runs is cancelled."""
    job = await found(asked, kind)
    await asked.app.jobs.remove(job, asked.caller)
    return json_answer({"id": job.id, "object": f"{kind}.deleted", "deleted": True})
