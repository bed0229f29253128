"""Texts that are spoken one after the other: whole ones, and the sentences of one that is still being written."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from lollms_modalities.kit import sentences

from lollms_server.room.callers import Caller
from lollms_server.room.errors import ModelNotServed
from lollms_server.room.models import Chosen
from lollms_server.room.room import Room
from lollms_server.web.common import Descriptions, default_model
from lollms_server.web.errors import Refused
from lollms_server.wyoming.events import Event, Limits
from lollms_server.wyoming.info import Directory

_SAMPLES = 1024  # of one event, as others have it
_TOGETHER = 32  # events, which leave in one piece
Send = Callable[..., Awaitable[None]]  # of one event or several


class Voice(NamedTuple):
    """Who speaks."""

    chosen: Chosen
    name: str | None
    options: dict[str, Any]


class Voices:
    """What is meant by the voices of events."""

    def __init__(self, room: Room, directory: Directory, descriptions: Descriptions) -> None:
        self._room = room
        self._directory = directory
        self._descriptions = descriptions

    async def of(self, event: Event, caller: Caller, program: str | None) -> Voice:
        """The voice that an event names; without one the default of the program, or of all.

        Raises:
            Refused, ModelNotServed, VoiceNotFoundError: there is none like it.
        """
        said = event.data.get("voice")
        if said is not None and not isinstance(said, dict):
            raise Refused("A voice is an object with a name or a language.", code="invalid_value", param="voice")
        wanted = Event("voice", said or {})
        name, language, speaker = wanted.text("name"), wanted.text("language"), wanted.text("speaker")
        if not name and language and program is None:
            name = await self._directory.voice_of(caller, language)
        chosen, voice = await self._named(name, caller, program)
        options: dict[str, Any] = {}
        if speaker and (await self._descriptions.of(chosen, caller, "stream_audio")).has("speaker"):
            options["speaker"] = speaker
        return Voice(chosen, voice, options)

    async def _named(self, name: str | None, caller: Caller, program: str | None) -> tuple[Chosen, str | None]:
        default = default_model(self._room, "tts", caller)
        if program is not None:
            default = self._room.find(program, "tts", caller)
        if not name:
            return default, None
        model, slash, rest = name.partition("/")
        if (own := self._room.recorded.meant(default, name, caller)) is not None:
            return default, own.id
        try:
            other = self._room.find(model, "tts", caller)
        except ModelNotServed:
            return default, (await self._room.voice(default, name)).name
        if not slash:
            return other, None
        own = self._room.recorded.meant(other, rest, caller)
        return other, own.id if own is not None else (await self._room.voice(other, rest)).name


class Speaking:
    """The texts of one connection.

    Args:
        failed: is told of what goes wrong; then nothing more is spoken.
    """

    def __init__(self, room: Room, limits: Limits, send: Send, failed: Callable[[Exception], object]) -> None:
        self._room = room
        self._limits = limits
        self._send = send
        self._failed = failed
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._characters = 0
        self._task: asyncio.Task[None] | None = None
        self.stream: TextStream | None = None

    @property
    def busy(self) -> bool:
        """Whether something is spoken or waits for it."""
        return self._task is not None and not self._task.done()

    def speak(self, text: str, voice: Voice, caller: Caller) -> None:
        """Speak a text when its turn comes: ``audio-start``, ``audio-chunk`` and ``audio-stop``.

        Raises:
            Refused: too much waits already.
        """
        self._characters += len(text)
        if len(self._waiting) >= self._limits.waiting or self._characters > self._limits.text:
            raise Refused(
                f"More than {self._limits.text} characters or {self._limits.waiting} texts wait to be spoken.",
                status=429, code="too_long", param="text", hint="Wait for their audio-stop.",
            )  # fmt: skip
        self._then(lambda: self._spoken(text, voice, caller))

    def tell(self, event: Event) -> None:
        """Send an event when all that came before has been spoken."""
        self._then(lambda: self._send(event))

    def _then(self, step: Callable[[], Awaitable[None]]) -> None:
        self._waiting.append(step)
        if not self.busy:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        except Exception as exc:
            self._waiting.clear()
            self._failed(exc)

    async def _spoken(self, text: str, voice: Voice, caller: Caller) -> None:
        line = " ".join(text.split())
        kind: dict[str, int] | None = None
        if line:
            stream = self._room.stream(
                voice.chosen, caller, "stream_audio", line, voice.name, **voice.options
            )  # fmt: skip
            async with stream:
                while chunks := await stream.several():
                    if kind is None:
                        kind = {"rate": chunks[0].sample_rate, "width": 2, "channels": chunks[0].channels}
                        await self._send(Event("audio-start", {**kind, "timestamp": 0}))
                    # In as few events as it takes: each costs whoever reads it more than its sound.
                    pcm, step = b"".join(chunk.pcm for chunk in chunks), _SAMPLES * 2 * kind["channels"]
                    for first in range(0, len(pcm), _TOGETHER * step):
                        starts = range(first, min(first + _TOGETHER * step, len(pcm)), step)
                        await self._send(*(Event("audio-chunk", kind, pcm[at : at + step]) for at in starts))
        self._characters -= len(text)
        # A text with nothing to say is no failure: what writes it, a language model, may have nothing to add.
        await self._send(Event("audio-stop", {"timestamp": None}))

    async def close(self) -> None:
        """Stop: the engine, too."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))


class TextStream:
    """A text that is still being written, of which sentences are spoken as soon as they are whole."""

    def __init__(self, speaking: Speaking, voice: Voice, caller: Caller, most: int) -> None:
        self._speaking = speaking
        self._voice = voice
        self._caller = caller
        self._most = most
        self._rest = ""

    def add(self, text: str) -> None:
        """More of it.

        Raises:
            Refused: a sentence without an end.
        """
        self._rest += text
        *whole, rest = [*sentences(self._rest)] or [""]
        if not whole:
            if len(self._rest) > self._most:
                raise Refused(f"A sentence has more than {self._most} characters.", code="too_long", param="text")
            return
        blank = self._rest[len(self._rest.rstrip()) :]
        self._rest = rest + blank
        for sentence in whole:
            self._speaking.speak(sentence, self._voice, self._caller)

    def finish(self) -> None:
        """It is whole."""
        if self._rest.strip():
            self._speaking.speak(self._rest, self._voice, self._caller)
        self._speaking.tell(Event("synthesize-stopped"))
