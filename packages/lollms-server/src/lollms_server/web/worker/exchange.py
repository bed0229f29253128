"""One request of a session: its payloads as they come, and what is sent for it, no faster than it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk, CallTimeout, MediaError, wire

from lollms_server.web.uploads import Upload
from lollms_server.web.worker.messages import Fault, Opening
from lollms_server.web.worker.values import Payload

if TYPE_CHECKING:
    from lollms_server.web.worker.session import Session

IN_MEMORY = 1 << 20  # bytes of payloads; of more there is a file for each
PART = 256 << 10  # bytes in one frame: smaller than a worker's, so that a slow link still tells that it lives


class Payloads:
    """The payloads of one message, while they come.

    Args:
        sizes: what the message says of them.
        folder: for those that are large.
    """

    def __init__(self, sizes: Sequence[int], folder: Path) -> None:
        self.missing = sum(sizes)
        self._sizes = sizes
        self._folder = folder
        self._memory: bytearray | None = bytearray() if self.missing <= IN_MEMORY else None
        self._uploads: list[Upload] = []
        self._at = 0  # which of them is being written

    async def add(self, data: memoryview) -> None:
        """The next of them.

        Raises:
            Fault: it is more than was said.
            SaveError: the disk is full.
        """
        if data.nbytes > self.missing:
            raise Fault("a chunk is larger than its message says")
        self.missing -= data.nbytes
        if self._memory is not None:
            self._memory += data
        else:
            await asyncio.to_thread(self._write, data)

    def _write(self, data: memoryview) -> None:
        if not self._uploads:
            self._uploads = [Upload(self._folder) for _ in self._sizes]
        while data.nbytes:
            upload, size = self._uploads[self._at], self._sizes[self._at]
            part = data[: size - upload.size]
            upload.write(part)
            data = data[part.nbytes :]
            self._at += upload.size == size

    def values(self) -> list[Payload]:
        """All of them, when nothing is missing."""
        if self._memory is None:
            for upload in self._uploads:
                upload.finish()
            return [upload.path for upload in self._uploads]
        found: list[Payload] = []
        at = 0
        for size in self._sizes:
            found.append(bytes(self._memory[at : at + size]))
            at += size
        return found

    def remove(self) -> None:
        """They are not needed any more."""
        for upload in self._uploads:
            upload.remove()
        self._memory = None


class Incoming(Iterator[AudioChunk]):
    """The items of a stream into a call: put on the event loop, taken by the engine's thread.

    Args:
        taken: told on the event loop, after so many were taken, how many.
    """

    def __init__(self, taken: Callable[[int], object]) -> None:
        self._items: SimpleQueue[AudioChunk | MediaError | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._tell = taken
        self._taken = 0
        self._waiting = 0
        self._ended = False

    def put(self, item: AudioChunk) -> None:
        """The next item.

        Raises:
            Fault: nobody said that there is room for it.
        """
        if self._waiting >= wire.ITEMS_IN:
            raise Fault("more items than there is room for")
        self._waiting += 1
        self._items.put(item)

    def end(self, error: MediaError | None = None) -> None:
        """No more come."""
        self._items.put(error)

    def __next__(self) -> AudioChunk:
        if self._ended or (item := self._items.get()) is None:
            self._ended = True
            raise StopIteration
        if isinstance(item, MediaError):
            self._ended = True
            raise item
        self._taken += 1
        if self._taken >= wire.ITEMS_IN // 2:
            taken, self._taken = self._taken, 0
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told, taken)
        return item

    def _told(self, taken: int) -> None:
        self._waiting -= taken
        self._tell(taken)

    def close(self) -> None:
        """Whoever waits for an item is told that there is none."""
        self.end()


class Exchange:
    """One request.

    Attributes:
        number: of the client's choosing.
        opening: the message that begins it.
        result: payloads of what it ends with.
        payloads: of its message, until that is whole.
        incoming: of the stream that its call takes.
        serving: whether its task has begun.
        cancelled: whether the client wants it stopped.
    """

    def __init__(self, session: Session, number: int) -> None:
        self.number = number
        self.opening: Opening
        self.result: list[wire.Buffer] = []
        self.payloads: Payloads | None = None
        self.incoming: Incoming | None = None
        self.task: asyncio.Task[None] | None = None
        self.serving = False
        self.cancelled = False
        self._session = session
        self._telling: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # a message and its chunks are not mixed with another's
        self._chunks = _Credit(wire.WINDOW)
        self._items = _Credit(wire.ITEMS)

    def acknowledged(self) -> None:
        """The client took a chunk."""
        self._chunks.back(1)

    def taken(self, count: int) -> None:
        """The client took items of the stream."""
        self._items.back(count)

    async def send(self, message: dict[str, Any], payloads: Sequence[wire.Buffer] = ()) -> None:
        """Send a message.

        Raises:
            CallTimeout: the client does not take what is sent to it.
            Gone: there is no client any more.
        """
        message["id"] = self.number
        views = [memoryview(payload).cast("B") for payload in payloads]
        if views:
            message["sizes"] = [view.nbytes for view in views]
        async with self._turn:
            if sum(view.nbytes for view in views) <= PART:
                await self._session.send(message, views)
                return
            await self._session.send(message, [])
            for part in _parts(views):
                await self._chunks.take(self._session.limits.unread_seconds)
                await self._session.send({"type": wire.DATA, "id": self.number}, [part])

    async def send_item(self, message: dict[str, Any], payloads: Sequence[wire.Buffer]) -> None:
        """Send an item of the stream that the call gives. Raises as ``send``."""
        await self._items.take(self._session.limits.unread_seconds)
        await self.send(message, payloads)

    def took(self, count: int) -> None:
        """So many items of the stream into the call were taken."""
        task = asyncio.ensure_future(self.send({"type": wire.TAKEN, "count": count}))
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()  # there is nobody, as whoever waits for the call will be told

    def remove(self) -> None:
        """It has ended: what it brought goes."""
        if self.payloads is not None:
            self.payloads.remove()
        if self.incoming is not None:
            self.incoming.close()


class _Credit:
    """So many of something may be under way that the client has not taken."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._more = asyncio.Event()

    async def take(self, seconds: float) -> None:
        """Wait for one.

        Raises:
            CallTimeout: that took too long.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._left:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise CallTimeout(
                f"For {seconds:g} s nothing was taken of what the call gives, and it has lost its place.",
                hint="Read a stream on, or close it.",
            ) from None
        self._left -= 1

    def back(self, count: int) -> None:
        """So many were taken; a client that says more than it was sent gains nothing."""
        self._left = min(self._most, self._left + count)
        self._more.set()


def _parts(views: Sequence[memoryview]) -> Iterator[memoryview]:
    for view in views:
        for start in range(0, view.nbytes, PART):
            yield view[start : start + PART]
