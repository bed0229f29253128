"""Transcription as both generations have it: plain text of a file, or of base64."""

from __future__ import annotations

from typing import Any

from lollms_modalities import Transcript
from pydantic import Field

from lollms_server.web.answers import Answer, big_json_answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import ignored, meant
from lollms_server.web.lollms import lists
from lollms_server.web.openai.transcription import recording


class FileBody(RequestBody):
    """Of a form with ``file``."""

    model: str | None = Field(None, description="A model of the list; the default one where it is left out.")
    language: str | None = Field(None, max_length=35, description="Such as en; heard out where it is left out.")


class Base64Body(FileBody):
    """Of ``/audio2text``."""

    audio_data: str = Field(description="The recording as base64.")
    file_name: str | None = Field(None, max_length=1000, description="Nobody looks at it.")


async def heard(asked: Asked, body: FileBody, data: str | None) -> tuple[Transcript, dict[str, str]]:
    """What is said, and headers of the answer.

    Args:
        data: the recording as base64, where it is not a form's file.
    """
    asked.fields_of = {"audio_path": "file" if data is None else "audio_data"}
    model = await meant(asked, body.model, "stt", "transcribe_audio")
    given = body.options | ({"language": body.language} if body.language else {})
    given.pop("client_id", None)
    options, left_out = model.options.parted(given)
    options = model.options.checked(options, what=model.chosen.name)
    if model.options.has("timestamps"):
        options.setdefault("timestamps", "none")
    path, _ = await recording(asked, data, "audio_data")
    made: Transcript = await asked.room.call(
        model.chosen, asked.caller, "transcribe_audio", path, request_id=asked.id, **options
    )
    return made, model.headers | ignored(left_out)


async def transcribe(asked: Asked) -> Answer:
    """Write down what is said in a file."""
    transcript, headers = await heard(asked, await asked.body(FileBody), None)
    return await big_json_answer({"transcription": str(transcript)}, headers)


async def audio_to_text(asked: Asked) -> Answer:
    """The same of base64."""
    body = await asked.body(Base64Body)
    transcript, headers = await heard(asked, body, body.audio_data)
    return await big_json_answer({"text": str(transcript)}, headers)


async def list_models(asked: Asked) -> Answer:
    """The models that hear; the name of the list is ``models`` in what was written of it, and ``voices`` in what was
    written for it."""
    names: list[Any] = await lists.names(asked, "stt")
    return json_answer({"models": names, "voices": names})
