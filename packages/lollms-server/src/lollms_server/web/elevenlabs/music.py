"""``/v1/sound-generation`` and ``/v1/music``, where a binding makes music. They are answered when all is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from lollms_modalities import AudioChunk
from pydantic import Field

from lollms_server.web.answers import Answer, Streamed
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import Meant, begun, in_header
from lollms_server.web.elevenlabs.asking import model_of
from lollms_server.web.elevenlabs.formats import made, output_of
from lollms_server.web.elevenlabs.speech import bytes_of
from lollms_server.web.errors import Refused

_VERB = "generate_music"


class SoundBody(RequestBody):
    """Of ``/v1/sound-generation``."""

    text: str = Field(description="What is to be heard.", min_length=1)
    model_id: str | None = Field(None, description="A model of music; one of ElevenLabs' own is the default.")
    duration_seconds: float | None = Field(None, ge=0.5, le=30)


class ComposeBody(RequestBody):
    """Of ``/v1/music``."""

    prompt: str | None = Field(None, description="What is to be heard.", min_length=1)
    composition_plan: dict[str, Any] | None = Field(None, description="Which no model here follows.")
    model_id: str | None = Field(None, description="A model of music; one of ElevenLabs' own is the default.")
    music_length_ms: int | None = Field(None, ge=3000, le=600_000)
    seed: int | None = Field(None, ge=0, le=2**31 - 1)


async def make_sound(asked: Asked) -> Answer:
    """Make a sound of a text."""
    asked.fields_of = {"prompt": "text", "duration": "duration_seconds"}
    body = await asked.body(SoundBody)
    return await _made(asked, body, body.model_id, body.text, {"duration": body.duration_seconds})


async def compose(asked: Asked) -> Answer:
    """Make music of a prompt."""
    asked.fields_of = {"duration": "music_length_ms"}
    body = await asked.body(ComposeBody)
    if body.composition_plan is not None or body.prompt is None:
        raise Refused("Music is made of a prompt here, not of a plan.", code="missing_field", param="prompt")
    length = None if body.music_length_ms is None else body.music_length_ms / 1000
    return await _made(asked, body, body.model_id, body.prompt, {"duration": length, "seed": body.seed})


async def compose_streamed(asked: Asked) -> Answer:
    """The same: no model here gives a part of music before the whole."""
    return await compose(asked)


async def _made(asked: Asked, body: RequestBody, model_id: str | None, prompt: str, said: dict[str, Any]) -> Answer:
    output = output_of(asked.query.get("output_format"))
    limit = asked.settings.limits.text
    if len(prompt) > limit:
        raise Refused(f"The prompt has {len(prompt)} characters, and {limit} are taken.", code="too_long",
                      param="prompt")  # fmt: skip
    chosen = model_of(asked, model_id, "ttm")
    model = Meant(chosen, await asked.app.descriptions.of(chosen, asked.caller, _VERB))
    said = {name: value for name, value in said.items() if value is not None}
    own = {name: value for name, value in body.options.items() if model.options.has(name) and name != "output_format"}
    options = model.options.checked({n: v for n, v in said.items() if model.options.has(n)} | own, what=chosen.name)
    left_out = [name for name in (*said, *body.options) if name not in options]
    headers = {**model.headers, "content-type": output.media_type}
    if left_out:
        headers["x-lollms-ignored"] = ", ".join(map(in_header, left_out))
    audio = await asked.room.call(chosen, asked.caller, _VERB, prompt, request_id=asked.id, **options)
    return Streamed(bytes_of(await begun(made(_chunks(audio), output))), headers)


async def _chunks(audio: bytes) -> AsyncIterator[AudioChunk]:
    yield await asyncio.to_thread(AudioChunk.from_audio, audio)
