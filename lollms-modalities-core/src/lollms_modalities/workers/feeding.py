"""A stream into a worker: the host pumps its caller's iterator, the worker's engine code takes the items.

The host asks for no item for which the worker has not said that there is room, so that it holds one at most. What the
iterator raises is told to the worker, in its place among the items, and kept for the caller.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import LollmsError
from lollms_modalities.workers import protocol
from lollms_modalities.workers.exchange import Disconnected
from lollms_modalities.workers.remote_errors import pack_error, unpack_error
from lollms_modalities.workers.values import pack, unpack

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.contract.pulling import Source
    from lollms_modalities.workers.exchange import Exchange
    from lollms_modalities.workers.protocol import Buffer

_PATIENCE = 0.05  # seconds that whoever ends it waits for the caller's iterator to be closed
_log = logging.getLogger(__name__)


class Feeding:
    """In the host: what a call's caller gave, on its way into a worker, in a thread of its own.

    Attributes:
        error: what the caller's iterator raised, or None.
    """

    def __init__(self, source: Source) -> None:
        self.error: BaseException | None = None
        self._source = source
        self._exchange: Exchange | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def prepare(self, call: Call) -> None:
        """The call begins. Raises ``OptionError`` where its caller would wait for itself."""
        self._source.begin(call)

    def begin(self, exchange: Exchange) -> None:
        """The worker has been told of the call: send what it takes."""
        self._exchange = exchange
        self._thread = threading.Thread(target=self._run, args=(exchange,), name="lollms-frames", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more. The caller's iterator is closed as soon as it lets itself be; again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._thread is None or self._exchange is None:
            return
        self._source.stop()
        self._exchange.wake()
        if self._thread is not threading.current_thread() and not self._source.needs_this_thread():
            self._thread.join(_PATIENCE)

    def check(self, call: Call) -> None:
        """Raise what the caller's iterator raised, which is what its caller is to see, unless the call was stopped."""
        if self.error is not None and not call.stopped:
            call.fail(self.error)
            raise self.error

    def _run(self, exchange: Exchange) -> None:
        pieces = self._source.pieces()
        end: dict[str, Any] = {"type": protocol.END}
        try:
            try:
                self._send(exchange, pieces)
            except Disconnected:  # the one that waits for the worker says so
                self._closed = True
            except BaseException as exc:  # whatever it is, it is the caller's
                self._failed(exc)
                end |= pack_error(exc, str)
            try:
                pieces.close()
            except BaseException as exc:
                self._failed(exc)
            if not self._closed:
                exchange.send(end)
        except Disconnected:
            pass

    def _send(self, exchange: Exchange, pieces: Iterator[Any]) -> None:
        while not self._closed:
            exchange.wait_for_room(protocol.ITEMS_IN)
            if self._closed or (piece := next(pieces, None)) is None:
                return
            out: list[Buffer] = []
            exchange.send({"type": protocol.ITEM, "value": pack(piece, out)}, out)

    def _failed(self, error: BaseException) -> None:
        if not self._closed:
            self.error = self.error or error
        elif not isinstance(error, LollmsError):
            _log.warning("the sound's iterator failed while it was being ended: %s", type(error).__name__)


class Incoming(Iterator[Any]):
    """In the worker: the items of a stream that the host sends into a call."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ended = False

    def __next__(self) -> Any:
        if self._ended:
            raise StopIteration
        message, payloads = self._exchange.get()
        if message["type"] == protocol.ITEM:
            self._exchange.took_item(protocol.ITEMS_IN)
            return unpack(message["value"], payloads)
        self._ended = True
        if "error" in message:
            raise unpack_error(message)
        raise StopIteration

    def close(self) -> None:
        """Wake whoever waits for the next item: there is none any more."""
        self._exchange.put({"type": protocol.END})
