"""``txt2img`` and ``img2img``."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from lollms_modalities import Image, read_media
from pydantic import Field

from lollms_server.jobs.owners import owner_of
from lollms_server.web.answers import Answer, big_json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.automatic1111.checkpoints import chosen_by
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import Meant, find, ignored, meant
from lollms_server.web.errors import Refused
from lollms_server.web.openai import drawing
from lollms_server.web.options import CEILINGS, decoded

_SEEDS = 2**63
# What a request's fields are called here.
_CALLED = {"steps": "num_inference_steps", "cfg_scale": "guidance_scale"}
_FIELDS_OF = {here: there for there, here in _CALLED.items()} | {"images": "init_images", "n": "batch_size"}


class TextBody(RequestBody):
    """Of ``/sdapi/v1/txt2img``. What it says beside this is passed over, unless it is an option of the binding."""

    prompt: str = Field(description="What to show.", min_length=1)
    negative_prompt: str = Field("", description="What not to show.")
    width: int = Field(512, ge=1, le=8192)
    height: int = Field(512, ge=1, le=8192)
    batch_size: int = Field(1, description="How many images.", ge=1, le=16)
    n_iter: int = Field(1, description="How many times as many.", ge=1, le=16)
    steps: int | None = Field(None, ge=1, le=1000)
    cfg_scale: float | None = Field(None, ge=0, le=1000)
    seed: int = Field(-1, description="Below 0 it is drawn.", lt=_SEEDS)
    override_settings: dict[str, Any] | None = Field(None, description="sd_model_checkpoint: the model.")


class ImageBody(TextBody):
    """Of ``/sdapi/v1/img2img``."""

    init_images: list[str] = Field(description="What to change, as base64 or data URLs.", min_length=1, max_length=16)
    mask: str | None = Field(None, description="Where it is white, or transparent, the image is changed.")
    denoising_strength: float | None = Field(None, description="How much is changed.", ge=0, le=1)


async def from_text(asked: Asked) -> Answer:
    """Draw images."""
    body = await asked.body(TextBody)
    name = _model_of(asked, body)
    chosen = find(asked, name, "tti")
    several = await asked.app.descriptions.has(chosen, asked.caller, drawing.SEVERAL)
    verb = drawing.SEVERAL if several else drawing.ONE
    return await _answer(asked, body, await meant(asked, name, "tti", verb), verb, {}, {})


async def from_images(asked: Asked) -> Answer:
    """Change images."""
    body = await asked.body(ImageBody)
    name = _model_of(asked, body)
    chosen = find(asked, name, "tti")
    if not await asked.app.descriptions.has(chosen, asked.caller, drawing.CHANGE):
        raise Refused(f"The model {chosen.name} changes no images.", code="unsupported", param="init_images")
    given = [await asyncio.to_thread(decoded, "init_images", text) for text in body.init_images]
    media: dict[str, Any] = {"images": given}
    if body.mask:
        media["mask"] = await asyncio.to_thread(decoded, "mask", body.mask)
    more = {} if body.denoising_strength is None else {"strength": body.denoising_strength}
    return await _answer(asked, body, await meant(asked, name, "tti", drawing.CHANGE), drawing.CHANGE, media, more)


def _model_of(asked: Asked, body: TextBody) -> str | None:
    asked.fields_of = _FIELDS_OF
    return chosen_by(asked, (body.override_settings or {}).get("sd_model_checkpoint"))


async def _answer(
    asked: Asked, body: TextBody, model: Meant, verb: str, media: dict[str, Any], more: dict[str, Any]
) -> Answer:
    number = body.batch_size * body.n_iter
    if number > CEILINGS["n"]:
        raise Refused(f"{number} images are more than the {CEILINGS['n']:.0f} that are drawn at once.",
                      code="invalid_value", param="n_iter")  # fmt: skip
    limit = asked.settings.limits.text
    if len(body.prompt) > limit or len(body.negative_prompt) > limit:
        raise Refused(f"The prompt has more than {limit} characters.", code="too_long", param="prompt")
    options, left_out = model.options.parted(_wanted(body, verb) | more)
    options = model.options.checked(options, also=type(body).model_fields, what=model.chosen.name)
    with asked.app.desk.drawing(owner_of(asked.caller), asked.id, number) as under_way:
        images = await drawing.drawn(
            asked, model, verb, number, {"prompt": body.prompt, **media, **options}, under_way.told
        )
    told = {
        "images": await asyncio.to_thread(lambda: [base64.b64encode(read_media(i)).decode("ascii") for i in images]),
        "parameters": body.model_dump(exclude={"init_images", "mask"}),
        "info": json.dumps(_info(body, model, images)),
    }
    return await big_json_answer(told, model.headers | ignored(left_out))


def _wanted(body: TextBody, verb: str) -> dict[str, Any]:
    """Options by our names. What is changed is as large as it was, where nobody says a size."""
    options = {name: value for name, value in body.options.items() if name not in ("n", "images", "output_format")}
    for there, here in _CALLED.items():
        if (value := getattr(body, there)) is not None:
            options[here] = value
    if body.negative_prompt:
        options["negative_prompt"] = body.negative_prompt
    if body.seed >= 0:
        options["seed"] = body.seed
    for name in ("width", "height"):
        if verb != drawing.CHANGE or name in body.model_fields_set:
            options[name] = getattr(body, name)
    return options


def _info(body: TextBody, model: Meant, images: list[Image]) -> dict[str, Any]:
    """How they were made, as these clients read it."""
    first = images[0].provenance
    seed = body.seed if first is None or first.seed is None else first.seed
    seeds = [-1 if seed < 0 else (seed + number) % _SEEDS for number in range(len(images))]
    return {
        "prompt": body.prompt, "negative_prompt": body.negative_prompt, "seed": seed, "all_seeds": seeds,
        "width": images[0].width, "height": images[0].height, "steps": body.steps, "cfg_scale": body.cfg_scale,
        "batch_size": body.batch_size, "sd_model_name": model.chosen.name,
        "infotexts": [f"{body.prompt}\nSeed: {one}, Model: {model.chosen.name}" for one in seeds],
    }  # fmt: skip
