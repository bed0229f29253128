"""A binding in a worker declares times of words, and does not know those of what it is to say: the host finds them.

The worker asks before the engine works, so that nobody waits for speech of which nothing can be told.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lollms_modalities.contract.spoken import Spoken, word_aligner
from lollms_modalities.errors import CallCancelled, LollmsError
from lollms_modalities.workers import protocol
from lollms_modalities.workers.remote_errors import pack_error, unpack_error

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.workers.exchange import Exchange
    from lollms_modalities.workers.protocol import Json

SINCE = 2  # minor version of the protocol


class HostsAligner:
    """In the worker, of one request: what ``contract.spoken.ELSEWHERE`` holds."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asking = threading.Lock()  # an engine may ask in several threads
        self._stopped = False

    def __call__(self, text: str, language: str | None) -> tuple[str, str]:
        """What finds the words of that text in the host, and its version.

        Raises:
            UnsupportedError: nothing there can.
            CallCancelled: the call is to stop.
        """
        with self._asking:
            # Looked at when whoever stops it sees that it asks.
            message: Json = {"type": protocol.CANCEL}
            if not self._stopped:
                self._exchange.send({"type": protocol.ALIGN, "text": text, "language": language})
                message, _ = self._exchange.get()
        if message["type"] != protocol.ALIGNER:
            raise CallCancelled("The call was to stop before it was known who finds the words.")
        if "error" in message:
            raise unpack_error(message)
        return message["distribution"], message["version"]

    def cancel(self) -> None:
        """The host wants the request stopped, and may answer no more."""
        self._stopped = True
        if self._asking.locked():
            self._exchange.put({"type": protocol.CANCEL})


def answer(call: Call, message: Json) -> Json:
    """In the host: whether the words can be found here. If so, they are in what arrives from now on."""
    try:
        found = word_aligner(message.get("language"))
    except LollmsError as exc:
        return {"type": protocol.ALIGNER, **pack_error(exc, str)}
    call.step = Spoken(message["text"], message.get("language"))
    return {"type": protocol.ALIGNER, "distribution": found.distribution, "version": found.version}
