"""A recording in another format: what was made stays what it is, and no engine is asked again."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from lollms_modalities import Audio, GenerationError, MediaError, probe_audio
from pydantic import Field

from lollms_server.web.answers import Answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody, refuse_unknown

_CONVERTING = ThreadPoolExecutor(1, "lollms-converting")


class ConvertBody(RequestBody):
    """What it is to become."""

    output_format: Literal["wav", "flac", "ogg", "opus", "mp3", "aac"] = Field(description="The format.")


async def convert(asked: Asked) -> Answer:
    """The same sound in another format."""
    body = await asked.body(ConvertBody)
    refuse_unknown(body.options, ConvertBody.model_fields, "A conversion")
    path = asked.form.file("file").path
    made = await asyncio.get_running_loop().run_in_executor(
        _CONVERTING, _converted, path, body.output_format, asked.settings.limits.upload_bytes
    )
    return Answer(made, 200, {"content-type": made.mime_type})


def _converted(path: Path, wanted: str, at_most: int) -> Audio:
    rate, channels, seconds, _ = probe_audio(path)
    if rate * channels * 2 * seconds > at_most:
        raise MediaError(
            f"{seconds:.0f} s of sound at {rate} Hz are more than is converted: {at_most} bytes, when decoded.",
            hint="Send it in parts.",
        )
    try:
        return Audio(path.read_bytes()).convert(wanted)
    except GenerationError as exc:  # nobody's engine has failed: that format has no room for this sound
        raise MediaError(exc.message, hint=exc.hint) from exc
