"""``/v1/images/generations`` and ``/v1/images/edits``."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from lollms_modalities import Image, Progress, read_media
from pydantic import Field

from lollms_server.jobs.board import IMAGES
from lollms_server.web import errors, jobs, sse
from lollms_server.web.answers import Answer, Streamed, big_json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import Meant, begun, find, ignored, meant
from lollms_server.web.errors import Refused
from lollms_server.web.openai import drawing
from lollms_server.web.openai.job_shape import SIZE
from lollms_server.web.options import decoded

_PATH = "/v1/images/results"
_KEPT = 3600.0  # seconds for which an image has an address
_STEPS = 30  # of an engine that does not say how many it takes
# What a model without them leaves out, told in a header: they say how, not what.
_HINTS = ("quality", "style", "moderation", "input_fidelity")
_USAGE = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0,
          "input_tokens_details": {"text_tokens": 0, "image_tokens": 0}}  # fmt: skip


class ImageBody(RequestBody):
    """Of ``/v1/images/generations``."""

    prompt: str = Field(description="What to show.", min_length=1)
    model: str | None = Field(None, description="A model of /v1/models; the default one where it is left out.")
    n: int = Field(1, description="How many.", ge=1, le=10)
    size: str | None = Field(None, description="WIDTHxHEIGHT in pixels, or auto.", pattern=SIZE)
    quality: str | None = Field(None, max_length=40, description="Where the model has it.")
    style: str | None = Field(None, max_length=40, description="Where the model has it.")
    background: Literal["transparent", "opaque", "auto"] | None = Field(None, description="Where the model has it.")
    moderation: str | None = Field(None, max_length=40, description="Where the model has it.")
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: int | None = Field(None, description="Quality of JPEG and WebP, in percent.", ge=0, le=100)
    response_format: Literal["b64_json", "url"] = "b64_json"
    stream: bool = False
    partial_images: int = Field(0, description="How many previews, where the model has them.", ge=0, le=3)
    keep_alive: float | None = Field(None, description="Seconds after which the model may be unloaded.", ge=0, le=86400)
    user: str | None = Field(None, description="Nobody looks at it.")


class EditBody(ImageBody):
    """Of ``/v1/images/edits``."""

    image: str | dict[str, Any] | list[str | dict[str, Any]] | None = Field(
        None, description="What to change: data URLs, or the files of a form."
    )
    images: list[str | dict[str, Any]] | None = Field(None, description="The same, as {image_url: a data URL}.")
    mask: str | dict[str, Any] | None = Field(None, description="Where it is transparent, the image is changed.")
    input_fidelity: str | None = Field(None, max_length=40, description="Where the model has it.")


async def generate(asked: Asked) -> Answer:
    """Draw images."""
    body = await asked.body(ImageBody)
    chosen = find(asked, body.model, "tti")
    several = await asked.app.descriptions.has(chosen, asked.caller, drawing.SEVERAL)
    verb = drawing.SEVERAL if several else drawing.ONE
    model = await meant(asked, body.model, "tti", verb)
    return await _answer(asked, body, model, verb, {"prompt": body.prompt}, "image_generation")


async def edit(asked: Asked) -> Answer:
    """Change images."""
    return await changed(asked, await asked.body(EditBody))


async def changed(asked: Asked, body: EditBody) -> Answer:
    """What is answered to a body of this surface's, or of one that is like it."""
    chosen = find(asked, body.model, "tti")
    if not await asked.app.descriptions.has(chosen, asked.caller, drawing.CHANGE):
        raise Refused(f"The model {chosen.name} changes no images.", code="unsupported", param="model")
    model = await meant(asked, body.model, "tti", drawing.CHANGE)
    given = _given(asked, body)
    masks = asked.form.files.get("mask", [])
    mask = asked.form.file("mask").path if masks else None if body.mask is None else decoded("mask", body.mask)
    arguments = {"images": given, "prompt": body.prompt} | ({} if mask is None else {"mask": mask})
    return await _answer(asked, body, model, drawing.CHANGE, arguments, "image_edit")


def _given(asked: Asked, body: EditBody) -> list[Path | bytes]:
    if uploads := [*asked.form.files.get("image", ()), *asked.form.files.get("images", ())]:
        if not all(upload.size for upload in uploads):
            raise Refused("A file is empty (0 bytes).", code="invalid_media", param="image")
        return [upload.path for upload in uploads]
    named = body.image if isinstance(body.image, list) else [] if body.image is None else [body.image]
    given: list[Path | bytes] = [decoded("image", one) for one in [*named, *(body.images or ())]]
    if not given:
        raise Refused("There is no image to change.", code="missing_file", param="image")
    return given


async def _answer(
    asked: Asked, body: ImageBody, model: Meant, verb: str, arguments: dict[str, Any], event: str
) -> Answer:
    if len(body.prompt) > asked.settings.limits.text:
        raise Refused(f"The prompt has {len(body.prompt)} characters.", code="too_long", param="prompt")
    options, left_out = _options(body, model, verb, strict=not asked.is_form)
    arguments |= options | {"keep_alive": body.keep_alive}
    headers = model.headers | ignored(left_out)
    if body.stream:
        events = await begun(_events(asked, body, model, verb, arguments, event))
        return Streamed(sse.pinged(events, asked.settings.limits.ping_seconds), {**sse.HEADERS, **headers})
    images = await _in_format(body, options, await drawing.drawn(asked, model, verb, body.n, arguments))
    told: dict[str, Any] = {"created": int(time.time()), "data": await _rows(asked, body, model, verb, images)}
    return await big_json_answer(told | _facts(images[0], body) | {"usage": _USAGE}, headers)


def _options(body: ImageBody, model: Meant, verb: str, *, strict: bool) -> tuple[dict[str, Any], list[str]]:
    """The binding's options, and the names of what it cannot be told.

    Raises:
        Refused, OptionError: something that would change what comes back, which the model cannot.
    """
    known, given, left_out = model.options, dict(body.options), []
    if body.size not in (None, "auto"):
        width, _, height = str(body.size).partition("x")
        if known.has("width") and known.has("height"):
            given |= {"width": int(width), "height": int(height)}
        elif verb == drawing.CHANGE:
            left_out.append("size")  # what it gives is as large as what it is given
        else:
            raise Refused(f"The model {model.chosen.name} has one size.", code="unsupported", param="size")
    for name in _HINTS:
        if (value := getattr(body, name, None)) is not None:
            if known.has(name):
                given[name] = value
            elif value != "auto":
                left_out.append(name)
    if body.background is not None and known.has("background"):
        given["background"] = body.background
    elif body.background == "transparent":
        raise Refused(f"The model {model.chosen.name} draws no transparency.", code="unsupported", param="background")
    if body.output_format is not None:
        given["output_format"] = body.output_format
    if body.output_compression is not None:
        if known.has("output_compression"):
            given["output_compression"] = body.output_compression
        elif body.output_format in ("jpeg", "webp"):
            given["output_format"] = "png"  # and then as is wanted, from what has lost nothing
        else:
            left_out.append("output_compression")
    if body.stream and body.partial_images:
        if known.has("preview_every"):
            steps = given.get("num_inference_steps") or known.properties.get("num_inference_steps", {}).get("default")
            given.setdefault("preview_every", max(1, _number(steps) // (body.partial_images + 1)))
        else:
            left_out.append("partial_images")
    return known.checked(given, also=type(body).model_fields, what=model.chosen.name, strict=strict), left_out


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else _STEPS


async def _in_format(body: ImageBody, options: dict[str, Any], images: list[Image]) -> list[Image]:
    if body.output_compression is None or body.output_format not in ("jpeg", "webp") or "output_compression" in options:
        return images
    wanted, quality = body.output_format, body.output_compression
    return await asyncio.to_thread(lambda: [drawing.encoded(image, wanted, quality) for image in images])


async def _rows(asked: Asked, body: ImageBody, model: Meant, verb: str, images: list[Image]) -> list[dict[str, Any]]:
    revised = [_revised(image, number) for number, image in enumerate(images)]
    if body.response_format == "url":
        kept = await asked.app.jobs.keep(asked.caller, model.chosen, verb, images, _KEPT)
        places = [{"url": f"{asked.base}{_PATH}/{kept.id}/{number}"} for number in range(len(images))]
    else:
        places = [{"b64_json": text} for text in await asyncio.to_thread(_base64, images)]
    return [{**place, **more} for place, more in zip(places, revised, strict=True)]


def _base64(images: list[Image]) -> list[str]:
    return [base64.b64encode(read_media(image)).decode("ascii") for image in images]


def _revised(image: Image, number: int) -> dict[str, Any]:
    """What a service has made of the prompt."""
    extra = {} if image.provenance is None else image.provenance.extra
    said = extra.get("revised_prompt")
    if isinstance(said, list):
        said = said[number] if number < len(said) else None
    return {} if said is None else {"revised_prompt": said}


def _facts(image: Image, body: ImageBody) -> dict[str, Any]:
    return {
        "size": f"{image.width}x{image.height}", "output_format": image.format or "png",
        "background": body.background or "auto", "quality": body.quality or "auto",
    }  # fmt: skip


async def _events(
    asked: Asked, body: ImageBody, model: Meant, verb: str, arguments: dict[str, Any], event: str
) -> AsyncIterator[bytes]:
    """Previews as they come, and each image when it is there. What fails before the first is raised."""
    came: asyncio.Queue[Progress | None] = asyncio.Queue()
    drawing_it = asyncio.ensure_future(
        drawing.drawn(asked, model, verb, body.n, arguments, lambda p: came.put_nowait(p) if p.preview else None)
    )
    drawing_it.add_done_callback(lambda _: came.put_nowait(None))
    shown = 0
    try:
        while (progress := await came.get()) is not None:
            if isinstance(progress.preview, Image) and shown < body.partial_images:
                yield await _event(f"{event}.partial_image", progress.preview, body, partial_image_index=shown)
                shown += 1
        for image in await _in_format(body, arguments, await drawing_it):
            yield await _event(f"{event}.completed", image, body, usage=_USAGE)
    except Exception as exc:
        if not shown:
            raise
        yield sse.event(errors.told(exc).body)
    finally:
        if not drawing_it.done():
            drawing_it.cancel()
            await asyncio.wait({drawing_it})


async def _event(kind: str, image: Image, body: ImageBody, **more: Any) -> bytes:
    def made() -> bytes:
        told = {"type": kind, "b64_json": _base64([image])[0], "created_at": int(time.time()), **_facts(image, body)}
        return sse.event({**told, **more})

    return await asyncio.to_thread(made)


async def result(asked: Asked) -> Answer:
    """An image that was asked for as an address. Whoever has that, which cannot be guessed, may see it for an hour."""
    number = asked.params["number"]
    job = await asked.app.jobs.found(asked.params["id"], None, (IMAGES,))
    if not (number.isascii() and number.isdigit() and len(number) < 4):
        raise Refused("There is no such image.", status=404, code="not_found")
    return await jobs.content(asked, job, int(number))
