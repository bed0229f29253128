"""One connection. What comes is read all the time: who leaves is noticed, and what they asked for is stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from lollms_modalities import LollmsError

from lollms_server.room.callers import Caller
from lollms_server.room.room import Room
from lollms_server.web import errors
from lollms_server.web.common import Descriptions, default_model
from lollms_server.web.connection import has_hung_up
from lollms_server.web.errors import Refused
from lollms_server.wyoming.events import Event, Limits, read, written
from lollms_server.wyoming.hearing import Hearing, Held, Wanted
from lollms_server.wyoming.info import PROGRAM, Directory
from lollms_server.wyoming.sound import Sound
from lollms_server.wyoming.speaking import Speaking, TextStream, Voices

_log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between two looks at whether somebody is there
_TERMS = 200  # names that a transcription is likely to hold


class Shared:
    """What the connections have in common.

    Args:
        room: which they ask.
        limits: how much is taken.
        live: whether models listen while somebody speaks.
        seconds: of sound that are taken for one transcription.
        enter: who somebody is that connects from an address.
    """

    def __init__(
        self, room: Room, limits: Limits, *, live: bool, seconds: float, enter: Callable[[str], Caller]
    ) -> None:
        self.room = room
        self.limits = limits
        self.live = live
        self.seconds = seconds
        self.enter = enter
        self.held = Held(limits.held_bytes)
        self.directory = Directory(room, live=live)
        self.descriptions = Descriptions(room)
        self.voices = Voices(room, self.directory, self.descriptions)


class Session:
    """One connection.

    Args:
        modalities: what its port is for: "stt", "tts".
    """

    def __init__(
        self, shared: Shared, modalities: tuple[str, ...], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._shared = shared
        self._modalities = modalities
        self._reader = reader
        self._writer = writer
        self._address = str((writer.get_extra_info("peername") or ("",))[0])
        self._lock = asyncio.Lock()
        self._failure: Exception | None = None
        self._task: asyncio.Task[Any] | None = None
        self._program: str | None = None
        self._transcribe = Event("transcribe")
        self._hearing: Hearing | None = None
        self._heard = Sound()
        self._speaking = Speaking(shared.room, shared.limits, self._send, self._fail)
        self._text: TextStream | None = None
        self._waits = False  # whether sound waits for room
        self._handlers: dict[str, Callable[[Event], Awaitable[None]]] = {
            "describe": self._describe, "ping": self._ping, "select-program": self._select,
        }  # fmt: skip
        if "stt" in modalities:
            self._handlers |= {"transcribe": self._asked, "audio-start": self._begin, "audio-chunk": self._sound,
                               "audio-stop": self._end}  # fmt: skip
        if "tts" in modalities:
            self._handlers |= {"synthesize": self._speak, "synthesize-start": self._start,
                               "synthesize-chunk": self._chunk, "synthesize-stop": self._stop}  # fmt: skip

    async def run(self) -> None:
        """Until either side ends it."""
        self._task = asyncio.current_task()
        looking = asyncio.create_task(self._look())
        try:
            while (event := await self._next()) is not None:
                # What it does not know it leaves alone, as the protocol has it.
                if (handler := self._handlers.get(event.type)) is not None:
                    await handler(event)
        except (TimeoutError, ConnectionError):
            pass  # nothing was wanted any more, or nobody is there
        except asyncio.CancelledError:
            if self._failure is None or self._task is None or self._task.uncancel():
                raise
            await self._tell(self._failure)
        except Exception as exc:
            await self._tell(exc)
        finally:
            looking.cancel()
            await self._leave()

    async def _look(self) -> None:
        """End it where nobody is there: while sound waits for room nothing is read, and no end of it either."""
        while True:
            await asyncio.sleep(_LOOK)
            if self._waits and has_hung_up(self._writer.transport):
                self._fail(ConnectionAbortedError("nobody is there"))

    async def _next(self) -> Event | None:
        limits = self._shared.limits
        while True:
            hearing = self._hearing is not None and not self._hearing.ended
            try:
                return await read(self._reader, limits, limits.pause_seconds if hearing else limits.idle_seconds)
            except TimeoutError:
                if hearing:
                    raise Refused(
                        f"For {limits.pause_seconds:g} s no sound came, and no audio-stop.", status=408, code="too_slow"
                    ) from None
                if not self._busy():
                    raise

    def _busy(self) -> bool:
        return self._speaking.busy or (self._hearing is not None and self._hearing.busy)

    def _fail(self, exc: Exception) -> None:
        """Something that runs beside the reading has failed: the connection ends, since there clients wait for ever."""
        if self._failure is None and self._task is not None:
            self._failure = exc
            self._task.cancel()

    async def _tell(self, exc: Exception) -> None:
        if isinstance(exc, (ConnectionError, TimeoutError)) and not isinstance(exc, LollmsError):
            return
        told = errors.told(exc).body["error"]
        if told["code"] == "internal_error":
            _log.error("a Wyoming connection failed", exc_info=exc)
        with suppress(ConnectionError, TimeoutError):
            await self._send(Event("error", {"text": told["message"], "code": told["code"]}))

    async def _send(self, *events: Event) -> None:
        async with self._lock:
            self._writer.write(b"".join(map(written, events)))
            if not self._writer.transport.get_write_buffer_size() and not self._writer.is_closing():
                return  # it was taken at once
            try:
                async with asyncio.timeout(self._shared.limits.read_seconds):
                    await self._writer.drain()
            except TimeoutError:
                self._writer.transport.abort()
                raise ConnectionAbortedError("nothing of it was taken") from None

    async def _leave(self) -> None:
        self._task = None
        await self._speaking.close()
        if self._hearing is not None:
            await self._hearing.close()
        self._writer.close()
        try:
            async with asyncio.timeout(self._shared.limits.linger_seconds):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            pass
        finally:
            self._writer.transport.abort()  # of what is never taken nothing stays

    # -- what is asked -----------------------------------------------------------------------------------------------

    async def _describe(self, event: Event) -> None:
        caller = self._shared.enter(self._address)
        await self._send(Event("info", await self._shared.directory.info(caller, self._modalities)))

    async def _ping(self, event: Event) -> None:
        await self._send(Event("pong", {"text": event.text("text")}))

    async def _select(self, event: Event) -> None:
        name = event.text("name")
        self._program = None if name == PROGRAM else name

    async def _asked(self, event: Event) -> None:
        self._transcribe = event

    async def _begin(self, event: Event) -> None:
        if self._hearing is not None and self._hearing.busy:
            raise Refused("The sound before is still being transcribed.", status=429, code="busy",
                          hint="Wait for its transcript, or connect again.")  # fmt: skip
        wanted = await self._wanted()
        shared = self._shared
        self._heard = Sound()
        self._hearing = Hearing(shared.room, wanted, shared.held, shared.seconds, self._send, self._fail)

    async def _sound(self, event: Event) -> None:
        hearing = await self._under_way(event)
        chunk = self._heard.chunk(event)
        self._waits = True
        await hearing.add(chunk)
        self._waits = False

    async def _end(self, event: Event) -> None:
        (await self._under_way(event)).end()
        self._transcribe = Event("transcribe")

    async def _under_way(self, event: Event) -> Hearing:
        """The transcription that takes sound now; some clients send no ``audio-start``."""
        if self._hearing is None or self._hearing.ended:
            await self._begin(event)
        assert self._hearing is not None
        return self._hearing

    async def _wanted(self) -> Wanted:
        """What the last ``transcribe`` has said."""
        shared, event = self._shared, self._transcribe
        caller = shared.enter(self._address)
        name = event.text("name") or self._program
        chosen = shared.room.find(name, "stt", caller) if name else default_model(shared.room, "stt", caller)
        known = await shared.descriptions.of(chosen, caller, "transcribe_audio")
        options: dict[str, Any] = {}
        if (language := event.text("language")) and known.has("language"):
            options["language"] = language
        terms = [*_texts(event, "transcript_names"), *_texts(event, "transcript_terms")]
        if terms and known.has("hotwords"):
            options["hotwords"] = " ".join(terms)
        live = shared.live and await shared.directory.streams(chosen, caller)
        return Wanted(chosen, caller, options, live)

    async def _speak(self, event: Event) -> None:
        text = event.text("text", most=self._shared.limits.text)
        if text is None:
            raise Refused("There is no text.", code="missing_field", param="text")
        if self._text is not None:
            return  # the whole of what came in parts, for servers that take none
        _check_format(event)
        caller = self._shared.enter(self._address)
        self._speaking.speak(text, await self._shared.voices.of(event, caller, self._program), caller)

    async def _start(self, event: Event) -> None:
        _check_format(event)
        caller = self._shared.enter(self._address)
        voice = await self._shared.voices.of(event, caller, self._program)
        self._text = TextStream(self._speaking, voice, caller, self._shared.limits.text)

    async def _chunk(self, event: Event) -> None:
        self._stream().add(event.text("text", most=self._shared.limits.text) or "")

    async def _stop(self, event: Event) -> None:
        self._stream().finish()
        self._text = None

    def _stream(self) -> TextStream:
        if self._text is None:
            raise Refused("A synthesize-start comes first.", code="invalid_event")
        return self._text


def _texts(event: Event, name: str) -> list[str]:
    said = event.data.get(name) or []
    if not isinstance(said, list) or len(said) > _TERMS or not all(isinstance(t, str) and len(t) < 200 for t in said):
        raise Refused(f"{name!r} is no list of at most {_TERMS} short texts.", code="invalid_value", param=name)
    return said


def _check_format(event: Event) -> None:
    if event.text("text_format") not in (None, "", "text"):
        raise Refused("Text is spoken as it is; SSML is none.", code="unsupported", param="text_format")
