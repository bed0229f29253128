"""What is said, item by item: calls of the model write it down, one after the other, and it is told as it is known."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk

from lollms_server.room.callers import Caller
from lollms_server.room.feeding import Feed
from lollms_server.web import errors
from lollms_server.web.realtime.deltas import Deltas
from lollms_server.web.realtime.sound import RATE
from lollms_server.web.realtime.wanted import VERB, Wanted
from lollms_server.web.sockets import Gone

if TYPE_CHECKING:
    from lollms_server.room.room import Room

Tell = Callable[..., Awaitable[None]]  # the type of an event, and its fields
_OF = "conversation.item.input_audio_transcription"
_PIECE = 2 * RATE  # bytes: a second of sound
_WAITING = 4  # calls of a session that wait for the one before; whoever says more waits, too


class Item:
    """Something that was said: from where it begins until it is committed.

    Attributes:
        id: by which the client knows it.
        wanted: who writes it down; None where nobody does.
        seconds: of sound in it.
        dropped: whether it is wanted no longer.
        error: what went wrong with it.
        text: what is known of it for good; ``shown`` with what may still change.
        language: of it, where that is told.
        begun: whether the client has been sent something of its text.
    """

    def __init__(self, id: str, wanted: Wanted | None) -> None:
        self.id = id
        self.wanted = wanted
        self.seconds = 0.0
        self.dropped = False
        self.error: Exception | None = None
        self.text = self.shown = ""
        self.begun = False
        self.language: str | None = None
        self.feed: Feed | None = None  # into the call that takes its sound


class Items:
    """The items of a session.

    Args:
        name: with which the ids of its calls begin.
        enter: who asks now.
        tell: sends an event.
    """

    def __init__(self, room: Room, name: str, enter: Callable[[], Caller], tell: Tell) -> None:
        self._room = room
        self._name = name
        self._enter = enter
        self._tell = tell
        self._numbers = itertools.count(1)
        self._waiting: asyncio.Queue[tuple[Item, Feed | None]] = asyncio.Queue(_WAITING)
        self._call: tuple[Item, asyncio.Task[None]] | None = None
        self._undone = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is being written down."""
        return not self._undone

    async def add(self, item: Item, pcm: bytes) -> None:
        """More sound of an item; where too much waits, as soon as there is room."""
        for start in range(0, len(pcm), _PIECE):
            piece = AudioChunk(pcm[start : start + _PIECE], RATE)
            item.seconds += len(piece.pcm) / 2 / RATE
            if item.wanted is None or item.error is not None:
                continue
            if item.feed is None:
                item.feed = Feed()
                await self._put(item, item.feed)
            await item.feed.put(piece)

    def rest(self, item: Item) -> None:
        """No sound of it comes for now: its call ends, and another begins when more comes."""
        if item.feed is not None:
            item.feed.end()
            item.feed = None

    async def end(self, item: Item) -> None:
        """It is whole: its text is told when it is known."""
        self.rest(item)
        if item.wanted is not None:
            await self._put(item, None)

    def drop(self, item: Item) -> None:
        """It is not wanted: its call is stopped."""
        item.dropped = True
        if item.feed is not None:
            item.feed.close()
            item.feed = None
        if self._call is not None and self._call[0] is item:
            self._call[1].cancel()

    async def _put(self, item: Item, feed: Feed | None) -> None:
        self._undone += 1
        await self._waiting.put((item, feed))

    async def run(self) -> None:
        """Write down what comes, until the task is cancelled; the call under way is stopped then.

        Raises:
            Gone: the client is not there.
        """
        while True:
            item, feed = await self._waiting.get()
            if feed is None:
                await self._finish(item)
            elif item.dropped or item.error is not None:
                feed.close()
            else:
                await self._hear(item, feed)
            self._undone -= 1

    async def _hear(self, item: Item, feed: Feed) -> None:
        task = asyncio.ensure_future(self._heard(item, feed))
        self._call = item, task
        try:
            await asyncio.wait((task,))
        finally:
            self._call = None
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, Gone) or not isinstance(error, Exception):
                raise error
            item.error = error

    async def _heard(self, item: Item, feed: Feed) -> None:
        wanted = item.wanted
        assert wanted is not None
        deltas: dict[str | None, Deltas] = {}
        call = f"{self._name}-{next(self._numbers)}"
        try:
            stream = self._room.stream(wanted.chosen, self._enter(), VERB, feed, request_id=call, **wanted.options)
            async with stream as segments:
                async for segment in segments:
                    text = segment.text.strip()
                    whole = f"{item.text} {text}".strip()
                    known = deltas.setdefault(segment.id, Deltas())
                    blank = " " if item.begun and not known.sent else ""
                    added = known.more(text, final=segment.final)
                    if segment.final:
                        del deltas[segment.id]
                        item.text, item.language = whole, segment.language or item.language
                    if added or whole != item.shown:
                        await self._tell(
                            f"{_OF}.delta", item_id=item.id, content_index=0, delta=added and blank + added,
                            transcript=whole,
                        )  # fmt: skip
                    item.shown, item.begun = whole, item.begun or bool(added)
        finally:
            feed.close()

    async def _finish(self, item: Item) -> None:
        if item.dropped:
            return
        if item.error is not None:
            await self._tell(f"{_OF}.failed", item_id=item.id, content_index=0, error=error_of(item.error))
            return
        languages = {} if item.language is None else {"languages": [{"code": item.language}]}
        await self._tell(
            f"{_OF}.completed", item_id=item.id, content_index=0, transcript=item.text,
            usage={"type": "duration", "seconds": round(item.seconds, 3)}, **languages,
        )  # fmt: skip


def error_of(error: BaseException) -> Mapping[str, Any]:
    """As it stands in an event."""
    told: Mapping[str, Any] = errors.told(error).body["error"]
    return {name: told[name] for name in ("type", "code", "message", "param")}
