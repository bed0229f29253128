"""A caller's iterator of sound, plain or asynchronous: asked in one thread, ended from another."""

from __future__ import annotations

import asyncio
import contextvars
import operator
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from lollms_modalities.calls import waits
from lollms_modalities.calls.call import CURRENT, TELLING
from lollms_modalities.errors import MediaError, OptionError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.media.chunk import AudioChunk

PIECE = 0.1  # seconds of sound that are handed on at once
_RATES = (1000, 768_000)
_CHANNELS = 255
_END: Any = object()
_HINT = "Give an iterator of AudioChunk; a recording goes to transcribe_audio or stream_transcript."


class Source:
    """What the caller gave. It is asked in the caller's context, as part of the call.

    So a binding that is asked from in there for something else than it is doing refuses, and what stops the call stops
    the calls that are made in there.
    """

    def __init__(self, frames: Any) -> None:
        self.asynchronous = hasattr(type(frames), "__aiter__")
        if isinstance(frames, (str, bytes, bytearray)) or not (
            self.asynchronous or hasattr(type(frames), "__iter__") or hasattr(type(frames), "__getitem__")
        ):
            raise OptionError(
                f"frames is {type(frames).__name__}, which is no iterator of AudioChunk.", hint=_HINT, names=["frames"]
            )
        self._frames = frames
        self._context = contextvars.copy_context()
        self._loop: asyncio.AbstractEventLoop | None = _running_loop()
        self._own_loop: Callable[[], object] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stopped = False

    def begin(self, call: Call) -> None:
        """The call that takes the sound begins. Raises ``OptionError`` where its caller would wait for itself."""
        self._context.run(CURRENT.set, call)
        self._context.run(TELLING.set, call)
        if self.asynchronous and self._loop is not None and call.asker is None:
            raise OptionError(
                f"{call.verb} was given an asynchronous iterator, and would hold up the event loop that it needs.",
                hint=f"Use async for ... in a{call.verb}(frames).",
                names=["frames"],
            )

    def stop(self) -> None:
        """No more is wanted. A plain iterator that waits for something is left to itself."""
        self._stopped = True
        task, loop = self._task, self._loop
        if task is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    def needs_this_thread(self) -> bool:
        """Whether the iterator can only be closed when this thread has gone on."""
        return self.asynchronous and self._loop is not None and _running_loop() is self._loop

    def pieces(self) -> Generator[AudioChunk, None, None]:
        """Its chunks, cut into pieces of ``PIECE`` seconds; closed, and at its end, the iterator is closed, too."""
        advance, close = self._context.run(self._opened)
        try:
            number = 0
            while not self._stopped:
                chunk = self._context.run(advance)
                if chunk is _END or self._stopped:
                    return
                number += 1
                yield from cut(chunk, number)
        finally:
            try:
                self._context.run(close)
            finally:
                if self._own_loop is not None:
                    self._own_loop()
                del advance, close
                self._frames = None

    def _opened(self) -> tuple[Callable[[], Any], Callable[[], object]]:
        if not self.asynchronous:
            items = iter(self._frames)
            return lambda: next(items, _END), getattr(items, "close", lambda: None)
        if self._loop is None:
            self._loop, self._own_loop = _loop_of_its_own()
        waiting = aiter(self._frames)

        async def close() -> None:
            if (aclose := getattr(waiting, "aclose", None)) is not None:
                await aclose()

        return lambda: self._await(_next(waiting)), lambda: self._await(close(), ending=True)

    def _await(self, step: Coroutine[Any, Any, Any], *, ending: bool = False) -> Any:
        """Run a step in the loop that the iterator lives in, and wait for it here."""
        loop = cast(asyncio.AbstractEventLoop, self._loop)

        async def run() -> Any:
            if not ending:
                self._task = asyncio.current_task()
                if self._stopped:
                    step.close()
                    return _END
            return await step

        coroutine = run()
        try:
            future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed, and the iterator with it
            coroutine.close()
            step.close()
            return _END
        try:
            return waits.result(future)
        except BaseException:
            if self._stopped and not ending:
                return _END  # it was told to
            raise
        finally:
            self._task = None


async def _next(items: AsyncIterator[Any]) -> Any:
    try:
        return await anext(items)
    except StopAsyncIteration:
        return _END


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _loop_of_its_own() -> tuple[asyncio.AbstractEventLoop, Callable[[], object]]:
    """A loop in a thread of its own, and what ends it."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        over = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), over))
        await over.wait()

    threading.Thread(target=lambda: asyncio.run(live()), name="lollms-frames-loop", daemon=True).start()
    loop, over = waits.result(begun)
    return loop, lambda: loop.call_soon_threadsafe(over.set)


def cut(chunk: Any, number: int) -> Iterator[AudioChunk]:
    """A chunk in pieces of at most ``PIECE`` seconds; none of one without sound.

    Raises:
        MediaError: it is none, or says of itself what cannot be.
    """
    from lollms_modalities.media.chunk import AudioChunk

    if not isinstance(chunk, AudioChunk):
        raise MediaError(f"Item {number} of the sound is {type(chunk).__name__}, no AudioChunk.", hint=_HINT)
    rate = _whole(chunk.sample_rate, f"Chunk {number} says that its sample rate is", *_RATES)
    channels = _whole(chunk.channels, f"Chunk {number} says that its number of channels is", 1, _CHANNELS)
    pcm = chunk.pcm
    if not isinstance(pcm, (bytes, bytearray, memoryview)):
        raise MediaError(
            f"Chunk {number} holds {type(pcm).__name__}, not bytes.", hint="AudioChunk.from_samples takes an array."
        )
    data = bytes(pcm)
    frame = 2 * channels
    if len(data) % frame:
        raise MediaError(
            f"Chunk {number} holds {len(data)} bytes, which are no whole samples of {channels} channels.",
            hint="Each sample of a channel has two bytes.",
        )
    step = max(1, int(rate * PIECE)) * frame
    for start in range(0, len(data), step):
        yield AudioChunk(data[start : start + step], rate, channels)


def _whole(value: Any, says: str, least: int, most: int) -> int:
    try:
        found = operator.index(value)
    except TypeError:
        found = -1
    if not least <= found <= most:
        raise MediaError(f"{says} {value!r:.60}.", hint=f"A whole number from {least} to {most}.")
    return found
