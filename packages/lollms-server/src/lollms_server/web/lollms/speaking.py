"""Speech as lollms-webui has it: WAV, at once or kept until it is fetched."""

from __future__ import annotations

import asyncio
from typing import Any

from lollms_modalities import Audio, read_media
from pydantic import Field

from lollms_server.jobs.owners import owner_of
from lollms_server.web.answers import Answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import ignored, in_header, meant
from lollms_server.web.errors import Refused
from lollms_server.web.lollms import lists
from lollms_server.web.openai.speech import voice_of

_WAV = "audio/wav"
_FILE = "tts2audio.wav"  # where no name is given


class FileBody(RequestBody):
    """Of ``/tts/file``."""

    text: str = Field(description="What is to be spoken.")
    speaker: str | None = Field(None, max_length=200, description="A voice of the list.")
    language: str | None = Field(None, max_length=35, description="Left out where the model has none.")
    client_id: str | None = Field(None, max_length=400, description="A key of this server, where it has any.")


class KeptBody(RequestBody):
    """Of ``/text2Audio`` and ``/text2Wave``."""

    text: str = Field(description="What is to be spoken.")
    voice: str | None = Field(None, max_length=200, description="A voice of the list.")
    fn: str | None = Field(None, max_length=200, description="What you call it; it is kept under another name.")
    client_id: str | None = Field(None, max_length=400, description="A key of this server, where it has any.")


async def is_ready(asked: Asked) -> Answer:
    """Whether there is anything that speaks."""
    return json_answer({"status": bool(lists.served(asked, "tts"))})


async def list_voices(asked: Asked) -> Answer:
    """Names of the voices."""
    return json_answer({"voices": [row["id"] for row in await lists.voices(asked)]})


async def list_voices_before(asked: Asked) -> Answer:
    """The same, as it was called before."""
    return await list_voices(asked)


async def file(asked: Asked) -> Answer:
    """Speak a text, and answer with the sound."""
    body = await asked.body(FileBody)
    data, headers = await _spoken(asked, body.text, body.speaker, {"language": body.language, **body.options})
    return Answer(data, 200, {**headers, "content-type": _WAV})


async def keep(asked: Asked) -> Answer:
    """Speak a text, and keep the sound under the address that is answered, and under the name that was given."""
    body = await asked.body(KeptBody)
    data, headers = await _spoken(asked, body.text, body.voice, dict(body.options))
    name = await asked.app.kept.keep(owner_of(asked.caller), body.fn or _FILE, data)
    # No "error", and a status, since that is what clients look for.
    return json_answer({"status": True, "url": f"{asked.settings.root_path.rstrip('/')}/audio/{name}"}, 200, headers)


async def keep_wave(asked: Asked) -> Answer:
    """The same, as it was called before."""
    return await keep(asked)


async def fetch(asked: Asked) -> Answer:
    """What was kept: by our name, which cannot be guessed, or with the key under which it was, by the client's."""
    name = asked.params["name"]
    data = await asked.app.kept.read(name)
    if data is None:
        caller = asked.enter(asked.route.key_of(asked.headers))
        data = await asked.app.kept.read(name, owner_of(caller))
    if data is None:
        raise Refused("There is no such sound, or not any more.", status=404, code="not_found")
    return Answer(data, 200, {"content-type": _WAV})


async def _spoken(asked: Asked, text: str, voice: str | None, given: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    limit = asked.settings.limits.text
    if len(text) > limit:
        raise Refused(f"The text has {len(text)} characters, of {limit}.", code="too_long", param="text")
    model = await meant(asked, None, "tts", "generate_audio")
    given = {name: value for name, value in given.items() if value is not None and name != "voice"}
    options, left_out = model.options.parted(given)
    options = model.options.checked(options, what=model.chosen.name) | {"output_format": "wav"}
    meaning = await voice_of(asked, model, None if voice == lists.MAIN_VOICE else voice)
    made: Audio = await asked.room.call(
        model.chosen, asked.caller, "generate_audio", text, meaning.name, request_id=asked.id, **options
    )
    headers = model.headers | ignored(left_out)
    if meaning.alias is not None:
        headers["x-lollms-voice-alias"] = in_header(meaning.alias)
    return made if len(made) else await asyncio.to_thread(read_media, made), headers
