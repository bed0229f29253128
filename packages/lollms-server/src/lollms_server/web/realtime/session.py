"""One session: what its client sends is done in the order in which it comes, and what is known of it is told."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lollms_modalities import LollmsError, voice_detector

from lollms_server.room.errors import KeyRefused
from lollms_server.web.answers import BIG
from lollms_server.web.bodies import parse_json
from lollms_server.web.errors import Refused
from lollms_server.web.plain_json import text_of
from lollms_server.web.realtime import older
from lollms_server.web.realtime.items import Item, Items, error_of
from lollms_server.web.realtime.setting import Format, Setting, Transcription
from lollms_server.web.realtime.sound import RATE, Sound
from lollms_server.web.realtime.turns import Heard, Turns
from lollms_server.web.realtime.wanted import Wanted, wanted_of
from lollms_server.web.sockets import Gone, Link, Opening

if TYPE_CHECKING:
    from lollms_modalities import VoiceStream

_log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between two looks at the key, and at whether the server ends
_LEAST = 0.1  # seconds of sound that can be committed, as there
_ID = 512  # characters of an event's id that a client gives
End = tuple[int, str]  # what the WebSocket is closed with


class Session:
    """One of them.

    Args:
        opening: what was asked for.
        link: the connection.
        model: that the address names, or None.
        old: whether the client is told things as they were before 2025-08.
    """

    def __init__(self, opening: Opening, link: Link, model: str | None, *, old: bool) -> None:
        self._app, self._headers = opening.app, opening.headers
        self._enter = opening.enter
        self._caller = opening.caller
        self._limits = opening.app.settings.limits
        self._link = link
        self._old = old
        self._id = f"sess_{secrets.token_hex(10)}"
        self._setting = Setting(transcription=Transcription(model=model) if model else Transcription())
        self._wanted: Wanted | None = None
        self._sound = Sound(self._setting.format)
        self._before = 0.0  # seconds of sound of other formats
        self._turns: Turns | None = None
        self._item: Item | None = None  # what is being said
        self._last: str | None = None  # item that was committed
        self._items = Items(opening.app.room, self._id, self._enter, self._tell)
        self._handlers: dict[str, Callable[..., Awaitable[None]]] = {
            "session.update": self._update, older.UPDATE: self._update_older,
            "input_audio_buffer.append": self._append, "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }  # fmt: skip
        self._fields = {
            "session.update": {"session"},
            older.UPDATE: {"session"},
            "input_audio_buffer.append": {"audio"},
        }

    async def run(self) -> End:
        """Serve it until it ends."""
        # What waits until there is room for more sound reads nothing meanwhile, and does not see that nobody is there.
        works = (self._read(), self._look(), self._items.run(), self._link.lost())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result() or (1000, "")
        except Gone:
            return 1000, ""
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.exception()  # the first one has been told
            if self._item is not None:
                self._items.drop(self._item)

    # -- what comes --------------------------------------------------------------------------------------------------

    async def _read(self) -> End:
        await self._begin()
        idle = 0.0
        while True:
            try:
                async with asyncio.timeout(self._limits.stall_seconds):
                    message = await self._link.receive()
            except TimeoutError:
                idle += self._limits.stall_seconds
                if idle >= self._limits.idle_seconds and self._items.idle:
                    await self._fail(Refused("Nothing was sent for too long.", status=408, code="session_expired"))
                    return 1000, "nothing was sent for too long"
                await self._stalled()
                continue
            idle = 0.0
            await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        event: Any = None
        try:
            if isinstance(message, bytes):
                raise Refused("An event is text.", code="invalid_json", hint="Send JSON in a text message.")
            event = await parse_json(message.encode("utf-8", "replace"), self._limits)
            if not isinstance(event, dict):
                raise Refused("An event is an object.", code="invalid_json")
            await self._handle(event)
        except Gone:
            raise
        except Exception as exc:
            given = event.get("event_id") if isinstance(event, dict) else None
            await self._fail(exc, given if isinstance(given, str) and len(given) <= _ID else None)

    async def _handle(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind is None:
            raise Refused("Missing required parameter: 'type'.", code="missing_required_parameter", param="type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            there = ", ".join(repr(known) for known in self._handlers if known != older.UPDATE)
            raise Refused(
                f"Invalid value: {str(kind)[:100]!r}. Supported values are: {there}.", code="invalid_value",
                param="type", hint="This session transcribes; it answers nothing.",
            )  # fmt: skip
        wanted = self._fields.get(kind, set())
        for name in event:
            if name not in wanted and name not in ("type", "event_id"):
                raise Refused(f"Unknown parameter: {name[:100]!r}.", code="unknown_parameter", param=name[:100])
        for name in wanted:
            if name not in event:
                raise Refused(f"Missing required parameter: {name!r}.", code="missing_required_parameter", param=name)
        await handler(**{name: event[name] for name in wanted})

    # -- the setting -------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        failed: Refused | None = None
        said = self._setting.transcription
        assert said is not None
        try:
            self._wanted = await wanted_of(self._app, self._caller, self._headers, said)
        except Refused as exc:
            failed, self._setting = exc, Setting(transcription=None)
        kind = "transcription_session.created" if self._old else "session.created"
        await self._tell(kind, session=self._told())
        if failed is not None and said.model is not None:  # else the client has to name one
            await self._fail(failed)

    def _told(self) -> dict[str, Any]:
        session = {
            "id": self._id, "object": "realtime.transcription_session",
            **self._setting.told(None if self._wanted is None else self._wanted.told),
        }  # fmt: skip
        return older.older(session) if self._old else session

    async def _update(self, session: Any) -> None:
        await self._change(session)
        await self._tell("session.updated", session=self._told())

    async def _update_older(self, session: Any) -> None:
        self._old = True
        await self._change(older.newer(session))
        await self._tell("transcription_session.updated", session=self._told())

    async def _change(self, said: Any) -> None:
        before, now = self._setting, self._setting.changed(said)
        if now.transcription is None:
            wanted = None
        elif now.transcription is before.transcription and self._wanted is not None:
            wanted = self._wanted
        else:
            self._caller = self._enter()
            wanted = await wanted_of(self._app, self._caller, self._headers, now.transcription)
        if now.format != before.format:
            await self._hear(self._flushed(now.format))
        if now.turns != before.turns:
            # What was being said belongs to how turns were found until now.
            if self._turns is not None and self._turns.speaking:
                await self._heard(self._turns.stop())
            self._turns = None
        self._setting, self._wanted = now, wanted

    # -- sound -------------------------------------------------------------------------------------------------------

    async def _append(self, audio: Any) -> None:
        if not isinstance(audio, str):
            raise Refused("'audio' is no text.", code="invalid_type", param="audio")
        # A tenth of a second takes less than the way into a thread and back.
        feed = self._sound.feed
        await self._hear(await asyncio.to_thread(feed, audio) if len(audio) > BIG else feed(audio))

    def _flushed(self, kind: Format) -> bytes:
        """The sound that was held back; what comes begins anew."""
        rest = self._sound.finish()
        self._before += self._sound.seconds
        self._sound = Sound(kind)
        return rest

    async def _hear(self, pcm: bytes) -> None:
        if not pcm:
            return
        if self._setting.turns is None:
            await self._items.add(self._open(), pcm)
            return
        for heard in await asyncio.to_thread(self._look_for_turns, pcm):
            await self._heard(heard)

    def _look_for_turns(self, pcm: bytes) -> list[Heard]:
        if self._turns is None:
            assert self._setting.turns is not None
            detector: VoiceStream = voice_detector()[0]
            at = self._before + self._sound.seconds - len(pcm) / 2 / RATE
            self._turns = Turns(self._setting.turns, detector, max(0.0, at), self._most())
        return list(self._turns.hear(pcm))

    def _most(self) -> float:
        """Seconds of one turn: its call has to end in time."""
        allowed = None if self._wanted is None else self._wanted.chosen.served.timeout
        return min(self._limits.turn_seconds, self._limits.turn_seconds if allowed is None else allowed / 2)

    async def _heard(self, heard: Heard) -> None:
        if heard.kind == "begins":
            item = self._open()
            await self._tell(
                "input_audio_buffer.speech_started", item_id=item.id, audio_start_ms=round(heard.at * 1000)
            )
        elif heard.kind == "sound":
            await self._items.add(self._open(), heard.pcm)
        else:
            await self._tell(
                "input_audio_buffer.speech_stopped", item_id=self._open().id, audio_end_ms=round(heard.at * 1000)
            )
            await self._committed()

    def _open(self) -> Item:
        if self._item is None:
            self._item = Item(f"item_{secrets.token_hex(10)}", self._wanted)
        return self._item

    async def _stalled(self) -> None:
        """No sound comes any more: no engine waits for it."""
        if self._item is None:
            return
        if self._turns is not None and self._turns.speaking:
            await self._heard(self._turns.stop())
        else:
            self._items.rest(self._item)

    async def _commit(self) -> None:
        if self._setting.turns is None:
            await self._hear(self._flushed(self._setting.format))
        elif self._turns is not None:
            self._turns.stop()
        item = self._item
        if item is None or item.seconds < _LEAST:
            held = 0.0 if item is None else item.seconds * 1000
            raise Refused(
                f"The buffer is too small to be committed: {held:.2f} ms of sound, of at least 100 ms.",
                code="input_audio_buffer_commit_empty",
                hint="" if self._setting.turns is None else "Turns are committed when they end.",
            )
        await self._committed()

    async def _committed(self) -> None:
        item, self._item = self._open(), None
        before, self._last = self._last, item.id
        await self._tell("input_audio_buffer.committed", item_id=item.id, previous_item_id=before)
        told = {
            "id": item.id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }  # fmt: skip
        for kind in ("created",) if self._old else ("added", "done"):
            await self._tell(f"conversation.item.{kind}", previous_item_id=before, item=told)
        await self._items.end(item)

    async def _clear(self) -> None:
        if self._item is not None:
            self._items.drop(self._item)
            self._item = None
        self._turns = None
        self._flushed(self._setting.format)
        await self._tell("input_audio_buffer.cleared")

    # -- what is told ------------------------------------------------------------------------------------------------

    async def _tell(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(10)}", **fields}
        await self._link.send(text_of(event, ascii=False))

    async def _fail(self, error: Exception, event_id: str | None = None) -> None:
        told = error_of(error)
        if told["code"] in ("internal_error", "misconfigured"):
            _log.error("an event of session %s failed", self._id, exc_info=error)
        await self._tell("error", error={**told, "event_id": event_id})

    # -- its end -----------------------------------------------------------------------------------------------------

    async def _look(self) -> End:
        """Whether the key still counts, and the server goes on."""
        while True:
            await asyncio.sleep(_LOOK)
            try:
                if self._enter().key_name != self._caller.key_name:
                    raise KeyRefused("The key is another's now.")
            except LollmsError as exc:
                await self._fail(exc)
                return 4401, "the key does not count any more"
            if self._app.room.ending and self._items.idle:
                await self._fail(Refused("The server ends.", status=503, code="ending"))
                return 1012, "the server ends"
