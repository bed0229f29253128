"""A worker that Ray has placed, as the host sees it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from lollms_ray.helper import News, Told

if TYPE_CHECKING:
    from lollms_modalities import Spec, TlsLink

_UNKNOWN = "it closed its connection"
UNWANTED = "unwanted"


class RayWorker:
    """A worker on some node: ``Running`` of the core says what each method does.

    Attributes:
        news: what the helper says of it, until it is connected.
        node: where it is; ``pid``: its number there.
        leaving: why it is to get no more calls; "" while it is.
    """

    def __init__(self, spec: Spec) -> None:
        self.sock: TlsLink = cast("TlsLink", None)  # until it has been reached
        self.news: SimpleQueue[News] = SimpleQueue()
        self.node = ""
        self.pid = 0
        self.leaving = ""
        self.killed_because = ""
        self._spec = spec
        self._told: Told = {}
        self._output = spec.output()
        self._ended = threading.Event()
        self._then: Callable[[], object] = lambda: None

    def ended(self, told: Told) -> None:
        """It has ended, or nobody knows any more."""
        self._told = told
        if told["lines"]:
            self._output.feed("\n".join([*told["lines"], ""]).encode(), final=True)
        self._ended.set()
        if told["cause"]:  # else its cluster is gone, and it may go on
            self._then()

    def leave(self, why: str) -> None:
        """Its node is about to go: what it runs may end there, and it gets nothing more."""
        self.leaving = why
        self._spec.log.warning("%s on %s gets no more calls: %s.", self._spec, self.node, why)

    @property
    def exit_code(self) -> int | None:
        """Its exit code, where it is known."""
        code: int | None = self._told.get("code")
        return code

    def reap(self, ended: Callable[[], object]) -> None:
        """Call ``ended`` when it has."""
        self._then = ended
        if self._ended.is_set() and self._told["cause"]:
            ended()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it: on its node it ends with the connection, whatever it does. Before that, its start ends."""
        if self._ended.is_set() and self._told.get("cause"):
            return
        self.killed_because = self.killed_because or because
        if self.sock is None:
            self.news.put(({"type": UNWANTED}, []))
            return
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        if wait:
            self._ended.wait(wait)

    def wait(self, timeout: float) -> None:
        """Wait for its end."""
        self._ended.wait(timeout)

    def cause(self) -> str:
        """Why it ended."""
        if self.sock.lost:
            return f"{self.sock.lost}; it was on {self.node}"
        self._ended.wait(1.0)
        return self.killed_because or self._told.get("cause") or _UNKNOWN

    def last_lines(self) -> list[str]:
        """The last that it printed, once it has ended."""
        self._ended.wait(1.0)
        return self._output.last_lines()

    def forget(self) -> None:
        """In a forked child: nothing here is ours."""
        self._ended.set()
