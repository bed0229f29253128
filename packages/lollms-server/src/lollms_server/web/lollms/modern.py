"""``/lollms/v1`` as lollms has it, and what its clients ask beside that: a user's token, and transcription.

Images are asked for by OpenAI's surface there, and films and music by our jobs of it.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lollms_server import __version__
from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.errors import Refused
from lollms_server.web.lollms import hearing, lists
from lollms_server.web.openai import images, speech, voices
from lollms_server.web.openai.bodies import SpeechBody

_KINDS = ("tts", "stt", "tti", "ttm", "ttv")
_CAN = {
    "tts": ("text_to_speech",), "stt": ("speech_to_text",), "tti": ("image_generation", "image_editing"),
    "ttm": ("music_generation",), "ttv": ("video_generation",),
}  # fmt: skip


class LollmsSpeechBody(SpeechBody):
    """Of ``/lollms/v1/audio/speech``."""

    audio_sample: str | None = Field(None, description="Refused: a voice is registered, with consent.")


class LollmsEditBody(images.EditBody):
    """Of ``/lollms/v1/images/edit``."""


class TokenBody(RequestBody):
    """Of ``/api/auth/token``."""

    username: str = Field("", max_length=200)
    password: str = Field("", description="A key of this server.", max_length=400)


async def capabilities(asked: Asked) -> Answer:
    """What can be done here, by whom; and that it is this server, with all that it speaks."""
    active = {kind: [model.name for model in lists.served(asked, kind)] for kind in _KINDS}
    return json_answer({
        "capabilities": [what for kind in _KINDS if active[kind] for what in _CAN[kind]],
        "active_bindings": {"llm": [], "rag": [], **active},
        "server": "lollms-server",
        "version": __version__,
        "surfaces": list(asked.room.configuration.serve.surfaces),
    })  # fmt: skip


async def speak(asked: Asked) -> Answer:
    """Speak a text."""
    asked.fields_of = {"text": "input"}
    body = await asked.body(LollmsSpeechBody)
    if body.audio_sample is not None:
        raise Refused(
            "A recording is no voice here until it was registered.", code="unsupported", param="audio_sample",
            hint="POST it to /v1/audio/voices with the consent of who speaks, and name that voice.",
        )  # fmt: skip
    if body.voice == lists.MAIN_VOICE:
        body.voice = None
    return await speech.answer(asked, body, strict=False)


async def list_voices(asked: Asked) -> Answer:
    """The voices of all speech models, or of one."""
    return await voices.list_voices(asked)


async def edit(asked: Asked) -> Answer:
    """Change an image."""
    return await images.changed(asked, await asked.body(LollmsEditBody))


async def list_models(asked: Asked) -> Answer:
    """The models of one kind."""
    kind = asked.params["kind"]
    if kind not in _KINDS:
        raise Refused(
            f"There is no kind {kind!r:.40}.", status=404, code="not_found", hint=f"There are: {', '.join(_KINDS)}."
        )
    found = await lists.names(asked, kind)
    alias = asked.query.get("binding_alias")
    rows = [
        {"id": name, "object": "model", "name": name, "model_name": name, "owned_by": name.partition("/")[0]}
        for name in found
        if alias is None or name.partition("/")[0] == alias
    ]
    return await big_json_answer({"object": "list", "data": rows})


async def token(asked: Asked) -> Answer:
    """A user's token: a key of this server's is one, and is given as the password."""
    if asked.content_type == "application/x-www-form-urlencoded":
        password = (await asked.urlencoded()).get("password", "")
    else:
        password = (await asked.body(TokenBody)).password
    asked.enter(password or None)
    return json_answer({"access_token": password or "none", "token_type": "bearer"})


async def transcribe(asked: Asked) -> Answer:
    """Write down what is said."""
    transcript, headers = await hearing.heard(asked, await asked.body(hearing.FileBody), None)
    told: dict[str, Any] = {"text": str(transcript)}
    return await big_json_answer(told, headers)
