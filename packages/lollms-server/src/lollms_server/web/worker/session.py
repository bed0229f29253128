"""One connection of a client: its messages are looked at and given to their exchanges; it has bounds and an end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from lollms_modalities import CallCancelled, GenerationError, LollmsError, MediaError, ServiceError, wire

from lollms_server.room.callers import Caller
from lollms_server.room.errors import KeyRefused, QueueFull
from lollms_server.web.settings import Limits
from lollms_server.web.sockets import Gone
from lollms_server.web.worker import values
from lollms_server.web.worker.acts import Acts
from lollms_server.web.worker.exchange import Exchange, Incoming, Payloads
from lollms_server.web.worker.failures import told
from lollms_server.web.worker.messages import (
    Ack,
    Bye,
    Call,
    Cancel,
    Data,
    End,
    Fault,
    Hello,
    Item,
    Make,
    Message,
    Opening,
    Taken,
    read,
    write,
)

if TYPE_CHECKING:
    from lollms_server.web.app import App

Frames = Callable[[], Awaitable[bytes | None]]
_log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between two looks at the key, and at whether the server ends


class Ended(NamedTuple):
    """Why a session ends: what the WebSocket is closed with, and what its calls under way are told."""

    code: int
    reason: str
    error: LollmsError


class Session:
    """One of them.

    Args:
        app: the application, its engine room and its limits.
        id: with which the ids of its calls begin.
        hops: how many servers have passed the client's wish on.
        enter: who the client is now; raises where its key does not count any more.
        receive: gives the next frame, None for one that is text, and raises ``Gone``.
        send: sends a frame; raises ``Gone``.
    """

    def __init__(
        self, app: App, id: str, hops: int, enter: Callable[[], Caller], receive: Frames,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.app = app
        self.id = id
        self.hops = hops
        self.caller = enter()
        self.limits: Limits = app.settings.limits
        self.minor = wire.MINOR
        self._enter = enter
        self._receive, self._send = receive, send
        self._sending = asyncio.Lock()
        self._exchanges: dict[int, Exchange] = {}
        self._highest = -1
        self._acts = Acts(self)
        self._bye = asyncio.Event()

    async def run(self) -> Ended:
        """Serve it until it ends; why."""
        reading, looking = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._look())
        try:
            await asyncio.wait({reading, looking}, return_when=asyncio.FIRST_COMPLETED)
            ended = (reading if reading.done() else looking).result()
        finally:
            both: list[asyncio.Task[Ended]] = [reading, looking]
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        exchanges = list(self._exchanges.values())
        tasks = [exchange.task for exchange in exchanges if exchange.task is not None]
        for running in tasks:
            running.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for exchange in exchanges:
            await self._tell(exchange, ended.error)
            self._forget(exchange)
        return ended

    # -- what comes --------------------------------------------------------------------------------------------------

    async def _read(self) -> Ended:
        try:
            while not self._bye.is_set():
                message, payload = await read(await self._receive(), self.limits.frame_text)
                await self._take(message, payload)
        except Gone:
            return Ended(1000, "", CallCancelled("The client has gone."))
        except Fault as exc:
            _log.info("session %s was ended: %s", self.id, exc)
            return Ended(1008, str(exc), ServiceError(f"The server ended the session: {exc}.", status=400))
        return Ended(1000, "", CallCancelled("The client has ended the session."))

    async def _take(self, message: Message, payload: memoryview) -> None:
        if isinstance(message, Opening):
            await self._open(message, payload)
            return
        if payload.nbytes and not isinstance(message, (Data, Item)):
            raise Fault("a payload that belongs to nothing")
        exchange = self._exchanges.get(message.id)
        if exchange is None:
            if message.id > self._highest:
                raise Fault("a message of no exchange")
            return  # late: of one that has ended
        if isinstance(message, Data):
            await self._chunk(exchange, payload)
        elif isinstance(message, Ack):
            exchange.acknowledged()
        elif isinstance(message, Taken):
            exchange.taken(message.count)
        elif isinstance(message, Item):
            await self._item(exchange, message, payload)
        elif isinstance(message, End):
            if exchange.incoming is not None:
                failed = MediaError("The source of the sound has failed.") if message.error is not None else None
                exchange.incoming.end(failed)
        else:
            self._cancel(exchange, message)

    async def _open(self, message: Opening, payload: memoryview) -> None:
        if message.id in self._exchanges:
            raise Fault("an exchange begins that is under way")
        self._highest = max(self._highest, message.id)
        exchange = Exchange(self, message.id)
        sizes = message.sizes if isinstance(message, (Make, Call)) else []
        if payload.nbytes and payload.nbytes != sum(sizes):
            raise Fault("a payload has another size than its message says")
        refused: LollmsError | None = None
        if len(self._exchanges) >= self.limits.session_calls:
            refused = QueueFull(
                f"{len(self._exchanges)} requests of this session are under way, which is as many as may be.",
                hint="Ask again when one has ended.", retry_after=1.0,
            )  # fmt: skip
        elif sum(sizes) > self.limits.upload_bytes:
            refused = MediaError(
                f"{sum(sizes)} bytes go along with the call, and {self.limits.upload_bytes} are taken.",
                hint="Send less, or have the operator allow more (max_upload).",
            )
        if refused is not None:  # the chunks that are on their way belong to nothing any more
            await self._tell(exchange, refused)
            return
        self._exchanges[message.id] = exchange
        exchange.payloads = Payloads(sizes, self.app.uploads.folder)
        exchange.opening = message
        if isinstance(message, Call) and message.input is not None:
            exchange.incoming = Incoming(exchange.took)  # its items may be here before its call is
        if payload.nbytes:
            await exchange.payloads.add(payload)
        if not exchange.payloads.missing:
            self._begin(exchange)

    async def _chunk(self, exchange: Exchange, payload: memoryview) -> None:
        if exchange.payloads is None or not exchange.payloads.missing or not payload.nbytes:
            raise Fault("a chunk of no payload")
        try:
            await exchange.payloads.add(payload)
        except LollmsError as exc:  # the disk is full
            await self._tell(exchange, exc)
            self._forget(exchange)
            return
        await exchange.send({"type": wire.ACK})
        if not exchange.payloads.missing:
            self._begin(exchange)

    async def _item(self, exchange: Exchange, message: Item, payload: memoryview) -> None:
        if payload.nbytes != sum(message.sizes):
            raise Fault("an item has another size than it says")
        if exchange.incoming is None:
            return  # its call has ended
        payloads = Payloads(message.sizes, self.app.uploads.folder)
        if payloads.missing > self.limits.frame_text:
            raise Fault("an item is too large")
        await payloads.add(payload)
        try:
            exchange.incoming.put(values.chunk(message.value, payloads.values()))
        except LollmsError as exc:
            exchange.incoming.end(MediaError(exc.message))

    def _cancel(self, exchange: Exchange, message: Cancel) -> None:
        exchange.cancelled = True
        if exchange.task is not None and exchange.serving:  # a task that has not begun would never say so
            exchange.task.cancel()

    # -- what is done ------------------------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange) -> None:
        if isinstance(exchange.opening, Bye):
            self._bye.set()
        exchange.task = asyncio.ensure_future(self._serve(exchange))

    async def _serve(self, exchange: Exchange) -> None:
        message, exchange.serving = exchange.opening, True
        try:
            if exchange.cancelled:
                raise CallCancelled("It was cancelled.")
            if isinstance(message, Hello):
                answer = await self._acts.hello(message)
            elif isinstance(message, Make):
                answer = await self._acts.make(exchange, message)
            elif isinstance(message, Bye):
                answer = {"type": wire.RESULT, "value": None}
            else:
                self.caller = self._enter()
                answer = await self._acts.call(exchange, message)
            await exchange.send(answer, exchange.result)
        except Gone:
            pass
        except asyncio.CancelledError:
            if not exchange.cancelled:
                raise
            await self._tell(exchange, CallCancelled("It was cancelled."))
        except Exception as exc:
            if not isinstance(exc, LollmsError):
                _log.error("call %s-%d failed", self.id, exchange.number, exc_info=exc)
                exc = GenerationError("The server failed, which is a fault of its own. Its log says more.")
            await self._tell(exchange, exc)
        finally:
            self._forget(exchange)

    async def _tell(self, exchange: Exchange, error: LollmsError) -> None:
        """End an exchange with an error, where there is still somebody to be told."""
        try:
            async with asyncio.timeout(self.limits.unread_seconds):
                await exchange.send({"type": wire.ERROR, "error": told(error), "traceback": "It has one there.\n"})
        except (Gone, TimeoutError, LollmsError):
            pass

    def _forget(self, exchange: Exchange) -> None:
        if self._exchanges.get(exchange.number) is exchange:
            del self._exchanges[exchange.number]
        exchange.remove()

    # -- what is sent ------------------------------------------------------------------------------------------------

    async def send(self, message: dict[str, Any], payloads: list[memoryview]) -> None:
        """Send a frame.

        Raises:
            Gone: there is nobody.
        """
        frame = write(message if self.minor >= wire.TYPED else wire.untyped(message), payloads)
        async with self._sending:
            await self._send(frame)

    # -- its end -----------------------------------------------------------------------------------------------------

    async def _look(self) -> Ended:
        """Whether the key still counts, and the server goes on."""
        until = asyncio.get_running_loop().time() + self.limits.hello_seconds
        while True:
            await asyncio.sleep(_LOOK)
            try:
                before, self.caller = self.caller, self._enter()
                if self.caller.key_name != before.key_name:
                    raise KeyRefused("The key is another's now.")
            except LollmsError as exc:
                return Ended(4401, "the key does not count any more", exc)
            if self.app.room.ending and not self._exchanges:
                error = ServiceError("The server ends.", status=503, retryable=True)
                return Ended(1012, "the server ends", error)
            if not self._acts.made and asyncio.get_running_loop().time() > until and not self._exchanges:
                return Ended(1008, "nothing was asked for", CallCancelled("Nothing was asked for."))


def session_id(given: str) -> str:
    """With what the ids of a session's calls begin: short enough that a number fits behind it."""
    return given if len(given) <= 44 else f"ws_{secrets.token_hex(8)}"
