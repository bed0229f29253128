"""``/v1/audio/speech``: bytes of a sound file as they are made, or events that hold them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from lollms_modalities import Audio, AudioChunk, EncodedStream, GenerationError, OptionError, SoundFormat

from lollms_server.room.describing import Voice
from lollms_server.web import errors, sse
from lollms_server.web.answers import Answer, Streamed
from lollms_server.web.asked import Asked
from lollms_server.web.batching import Batches
from lollms_server.web.common import Meant, alike, begun, ignored, in_header, meant
from lollms_server.web.errors import Refused
from lollms_server.web.openai.bodies import SpeechBody
from lollms_server.web.sound import PCM_RATE

if TYPE_CHECKING:
    from lollms_server.room.room import Room

_TYPES = {
    "mp3": "audio/mpeg", "opus": "audio/ogg; codecs=opus", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "ogg": "audio/ogg", "pcm": "audio/pcm; rate=24000; channels=1",
}  # fmt: skip
SEVERAL = "generate_audios"
_AT_ONCE = 16  # texts of one call
_BARE = SoundFormat("pcm", PCM_RATE, 1)
_PART = 24_576  # bytes of sound in one event


async def speak(asked: Asked) -> Answer:
    """Speak a text."""
    asked.fields_of = {"text": "input"}
    return await answer(asked, await asked.body(SpeechBody))


async def answer(asked: Asked, body: SpeechBody, *, strict: bool = True) -> Answer:
    """What is answered to a body of this surface's, or of one that is like it.

    Args:
        strict: whether an option that the binding does not have is refused; else it is told in a header.
    """
    if len(body.input) > asked.settings.limits.text:
        raise Refused(
            f"The text has {len(body.input)} characters, and {asked.settings.limits.text} are taken.",
            code="too_long", param="input", hint="Send it in parts.",
        )  # fmt: skip
    model = await meant(asked, body.model, "tts", "stream_audio")
    options, left_out = _options(body, model, strict)
    named = body.voice.get("id") or {} if isinstance(body.voice, dict) else body.voice
    if named is not None and not isinstance(named, str):
        raise Refused("A voice is a name, or {id: NAME}.", code="invalid_value", param="voice")
    voice = await voice_of(asked, model, named)
    headers = {**model.headers, "content-type": _TYPES[body.response_format]}
    if voice.alias is not None:
        headers["x-lollms-voice-alias"] = in_header(voice.alias)
    headers |= ignored(left_out)
    made = await asked.app.spoken.speak(asked, model, body, voice.name, options)
    sound = await begun(_spoken(asked, model, body, voice.name, options) if made is None else _whole(body, made))
    if body.stream_format == "audio":
        return Streamed(sound, headers)
    events = _events(sound)
    return Streamed(sse.pinged(events, asked.settings.limits.ping_seconds), {**headers, **sse.HEADERS})


def _spoken(
    asked: Asked, model: Meant, body: SpeechBody, voice: str | None, options: dict[str, Any]
) -> AsyncIterator[bytes]:
    """The bytes of the answer, of which none is there yet."""
    kind = body.response_format
    how = _BARE if kind == "pcm" else kind
    return asked.room.stream(
        model.chosen, asked.caller, "stream_encoded", body.input, voice, how, request_id=asked.id,
        keep_alive=body.keep_alive, **options,
    )  # fmt: skip


class Spoken:
    """Speaks texts of one caller's that come within a few milliseconds by one call, where the binding has a verb for
    that: an engine on a GPU speaks eight sentences in less time than one eight times. Who has a seed is alone.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._batches: Batches[str, Audio | None] = Batches(_AT_ONCE)

    async def speak(
        self, asked: Asked, model: Meant, body: SpeechBody, voice: str | None, options: dict[str, Any]
    ) -> Audio | None:
        """The whole sound of a text that was spoken with others, in the format wanted; None of one that is to be spoken
        by itself.
        """
        several = await asked.app.descriptions.has(model.chosen, asked.caller, SEVERAL)
        if not several or options.get("seed") is not None:
            return None
        how = dict(options)
        if body.response_format != "pcm":
            how["output_format"] = body.response_format

        async def speak(texts: list[str]) -> list[Audio | None]:
            if len(texts) == 1:
                return [None]  # it is heard as it is made
            try:
                made: list[Audio | None] = await self._room.call(
                    model.chosen, asked.caller, SEVERAL, texts, voice, request_id=asked.id,
                    keep_alive=body.keep_alive, **how,
                )  # fmt: skip
            except (OptionError, GenerationError):  # perhaps of one of them: each is spoken by itself, and told its own
                return [None] * len(texts)
            return made

        key = alike(asked, model, {**how, "voice": voice, "keep_alive": body.keep_alive})
        return await self._batches.ask(key, body.input, 1, speak)


async def _whole(body: SpeechBody, made: Audio) -> AsyncIterator[bytes]:
    """The bytes of an answer that is there."""
    yield bytes(made) if body.response_format != "pcm" else await asyncio.to_thread(_bare, made)


def _bare(made: Audio) -> bytes:
    return b"".join(EncodedStream(iter([AudioChunk.from_audio(made)]), _BARE))


async def voice_of(asked: Asked, model: Meant, name: str | None) -> Voice:
    """What a voice's name means for this caller; none is the default one.

    Raises:
        VoiceNotFoundError: nothing.
    """
    if not name:
        return Voice(None)
    own = asked.room.recorded.meant(model.chosen, name, asked.caller)
    return await asked.room.voice(model.chosen, name) if own is None else Voice(own.id)


def _options(body: SpeechBody, model: Meant, strict: bool) -> tuple[dict[str, Any], list[str]]:
    """The binding's options, and the names of what it cannot be told."""
    known = model.options
    given, left_out = (body.options, []) if strict else known.parted(body.options)
    options = known.checked(given, also=SpeechBody.model_fields, what=model.chosen.name, strict=True)
    if body.speed is not None:
        if known.has("speed"):
            options["speed"] = body.speed
        elif body.speed != 1:
            raise Refused(f"The model {model.chosen.name} has no speed.", code="unsupported", param="speed")
    if body.instructions:
        name = next((name for name in ("instructions", "instruct") if known.has(name)), None)
        if name is None:
            left_out.append("instructions")
        else:
            options[name] = body.instructions
    return options, left_out


async def _events(sound: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for part in sound:
            for start in range(0, len(part), _PART):
                audio = base64.b64encode(part[start : start + _PART]).decode("ascii")
                yield sse.event({"type": "speech.audio.delta", "audio": audio})
        # Tokens are how that API is paid for; here nobody counts any.
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        yield sse.event({"type": "speech.audio.done", "usage": usage})
    except Exception as exc:
        yield sse.event(errors.told(exc).body)
    finally:
        await sse.close(sound)
