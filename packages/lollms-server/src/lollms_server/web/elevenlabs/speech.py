"""``/v1/text-to-speech``: whole or streamed, with the times of characters or without."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

from lollms_modalities import Word
from pydantic import Field

from lollms_server.web import errors, sse
from lollms_server.web.answers import Answer, Streamed, big_json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.checking import RequestBody
from lollms_server.web.common import begun, in_header
from lollms_server.web.elevenlabs.alignment import aligned
from lollms_server.web.elevenlabs.asking import Speaker, speaker_of
from lollms_server.web.elevenlabs.errors import shaped
from lollms_server.web.elevenlabs.formats import Output, coded, made, output_of
from lollms_server.web.errors import Refused
from lollms_server.web.plain_json import text_of

QUERY = {"output_format": "Such as mp3_44100_128, pcm_16000, ulaw_8000, opus_48000_64 or wav_24000."}
_VERB = "stream_audio"


class SpeakBody(RequestBody):
    """Of all four. Options of the binding are taken by our names; what nobody knows is left out, as there."""

    text: str = Field(description="What is to be spoken.", min_length=1)
    model_id: str | None = Field(None, description="A model of /v1/models; one of ElevenLabs' own is the default.")
    language_code: str | None = Field(None, max_length=35)
    voice_settings: dict[str, Any] | None = Field(None, description="Of it, speed, where the model has that.")
    seed: int | None = Field(None, ge=0, le=2**32 - 1)


async def convert(asked: Asked) -> Answer:
    """Speak a text: its sound, sent as it is made."""
    output, body, speaker, arguments, headers = await _asked(asked)
    stream = asked.room.stream(
        speaker.model.chosen, asked.caller, "stream_encoded", body.text, speaker.name, output.encoded, **arguments
    )
    parts = await begun(coded(stream, output))
    return Streamed(parts, {**headers, "content-type": output.media_type})


async def stream(asked: Asked) -> Answer:
    """The same: here nothing waits for the whole."""
    return await convert(asked)


async def speak_timed(asked: Asked) -> Answer:
    """The same in JSON, with the time of each character."""
    parts, headers = await _timed(asked)
    sound, words = [], []
    async for part, begun_words in parts:
        sound.append(part)
        words += begun_words
    times = aligned(words)
    told = {"audio_base64": base64.b64encode(b"".join(sound)).decode("ascii")}
    return await big_json_answer({**told, "alignment": times, "normalized_alignment": times}, headers)


async def stream_timed(asked: Asked) -> Answer:
    """The same, part by part: a line of JSON each."""
    parts, headers = await _timed(asked)
    return Streamed(_lines(parts), {**headers, "content-type": "application/x-ndjson"})


async def _timed(asked: Asked) -> tuple[AsyncIterator[tuple[bytes, list[Word]]], dict[str, str]]:
    """What is spoken with its words, of which the first part is there."""
    output, body, speaker, arguments, headers = await _asked(asked)
    chosen = speaker.model.chosen
    if not speaker.model.options.has("timestamps"):
        raise Refused(f"The model {chosen.name} knows no times of words.", code="unsupported")
    stream = asked.room.stream(
        chosen, asked.caller, _VERB, body.text, speaker.name, timestamps="word", **arguments
    )  # fmt: skip
    return await begun(made(stream, output)), headers


async def _asked(asked: Asked) -> tuple[Output, SpeakBody, Speaker, dict[str, Any], dict[str, str]]:
    """What is wanted, of whom, with what; and the headers of the answer."""
    output = output_of(asked.query.get("output_format"))
    body = await asked.body(SpeakBody)
    limit = asked.settings.limits.text
    if len(body.text) > limit:
        raise Refused(f"The text has {len(body.text)} characters, and {limit} are taken.", code="too_long",
                      param="text", hint="Send it in parts.")  # fmt: skip
    speaker = await speaker_of(asked, asked.params["voice"], body.model_id, _VERB)
    options, left_out = _options(body, speaker)
    headers = dict(speaker.model.headers)
    if speaker.alias is not None:
        headers["x-lollms-voice-alias"] = in_header(speaker.alias)
    if left_out:
        headers["x-lollms-ignored"] = ", ".join(map(in_header, left_out))
    return output, body, speaker, {"request_id": asked.id, **options}, headers


def _options(body: SpeakBody, speaker: Speaker) -> tuple[dict[str, Any], list[str]]:
    """The binding's options, and the names of what it cannot be told."""
    known, settings = speaker.model.options, body.voice_settings or {}
    asked_for: dict[str, Any] = {"language": body.language_code, "seed": body.seed, "speed": settings.get("speed")}
    asked_for = {name: value for name, value in asked_for.items() if value is not None}
    own = {name: value for name, value in body.options.items() if known.has(name) and name != "timestamps"}
    options = known.checked(
        {name: value for name, value in asked_for.items() if known.has(name)} | own, what=speaker.model.chosen.name
    )
    left_out = [name for name in asked_for if name not in options]
    left_out += [name for name in (*body.options, *(name for name in settings if name != "speed")) if name not in own]
    return options, left_out


async def bytes_of(parts: AsyncIterator[tuple[bytes, list[Word]]]) -> AsyncIterator[bytes]:
    """The sound alone."""
    try:
        async for part, _ in parts:
            if part:
                yield part
    finally:
        await sse.close(parts)


async def _lines(parts: AsyncIterator[tuple[bytes, list[Word]]]) -> AsyncIterator[bytes]:
    ended = 0.0
    try:
        async for part, words in parts:
            times = aligned(words, ended) if words else None
            ended = words[-1].end if words else ended
            sound = base64.b64encode(part).decode("ascii")
            yield _line({"audio_base64": sound, "alignment": times, "normalized_alignment": times})
    except Exception as exc:
        yield _line(shaped(errors.told(exc)).body)
        raise  # its SDK leaves out a line that it does not know: the connection is cut, too
    finally:
        await sse.close(parts)


def _line(value: dict[str, Any]) -> bytes:
    return text_of(value).encode("ascii") + b"\n"
