"""WebSockets: who may open one is told before there is one at all, by the checks that every route has."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from starlette.types import Receive, Scope, Send

from lollms_server.room.callers import Caller
from lollms_server.web import errors
from lollms_server.web.connection import Connection
from lollms_server.web.entering import KeyOf, bearer, enter
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers, below, request_id

if TYPE_CHECKING:
    from lollms_server.web.app import App


class Gone(Exception):
    """The client is not there any more."""


class Link:
    """A connection that has become a WebSocket."""

    def __init__(self, receive: Receive, send: Send, connection: Connection | None = None) -> None:
        self._receive, self._send = receive, send
        self._lost = asyncio.Event()
        if connection is not None:
            connection.on_loss = self._lost.set
            if connection.is_lost:
                self._lost.set()

    async def lost(self) -> NoReturn:
        """Wait until it is lost, which ``receive`` tells only when all that came before was read.

        Raises:
            Gone: there is nobody.
        """
        await self._lost.wait()
        raise Gone

    async def receive(self) -> str | bytes:
        """The next message: text or bytes.

        Raises:
            Gone: there is nobody.
        """
        message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Gone
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def send(self, data: str | bytes) -> None:
        """Send a message, as soon as the client takes it.

        Raises:
            Gone: there is nobody.
        """
        kind = "text" if isinstance(data, str) else "bytes"
        try:
            await self._send({"type": "websocket.send", kind: data})
        except (OSError, RuntimeError):  # it is closed, by whomever
            raise Gone from None


class Opening(NamedTuple):
    """What somebody asks who wants a WebSocket, and may have one.

    Attributes:
        id: the request's.
        enter: who it is now; raises where its key does not count any more.
    """

    app: App
    scope: Scope
    headers: Headers
    id: str
    enter: Callable[[], Caller]
    caller: Caller


class Accepted(NamedTuple):
    """What is done with one.

    Attributes:
        run: serves the connection until its end; gives the code and the reason that it is closed with.
        subprotocol: of those that the client named.
    """

    run: Callable[[Link], Awaitable[tuple[int, str]]]
    subprotocol: str | None = None


@dataclass(frozen=True)
class Socket:
    """A path at which there is a WebSocket.

    Attributes:
        path: of it, raw.
        surface: that has to be switched on.
        accept: looks at what is asked, and raises where that cannot be.
        key_of: where its clients put their key.
        pages: whether pages of this server, and of origins that were named, may open it.
        ours: whether a refusal goes along as JSON values, for our own client.
    """

    path: bytes
    surface: str
    accept: Callable[[Opening], Accepted]
    key_of: KeyOf = bearer
    pages: bool = False
    ours: bool = False


class Sockets:
    """Those of one application."""

    def __init__(self, app: App, sockets: Iterable[Socket]) -> None:
        self._app = app
        self._sockets = {socket.path: socket for socket in sockets}
        self._having: Counter[str] = Counter()  # open ones, by caller

    async def enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its request to its end."""
        await receive()
        headers = Headers(scope)
        socket = self._at(scope)
        try:
            again = self._let_in(socket, scope, headers)
            caller = again()
            self._check_room(caller)
            assert socket is not None
            accepted = socket.accept(Opening(self._app, scope, headers, request_id(headers), again, caller))
        except Exception as exc:
            await _refuse(send, exc, ours=socket is None or socket.ours)
            return
        self._having[caller.who] += 1
        try:
            await send({"type": "websocket.accept", "subprotocol": accepted.subprotocol})
            code, reason = await accepted.run(Link(receive, send, Connection.of(scope)))
            reason = reason.encode("ascii", "replace")[:120].decode()  # a frame of the end holds 123 bytes
            with suppress(OSError, RuntimeError):  # nobody is there, or it is closed already
                await send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            pass
        finally:
            self._having[caller.who] -= 1
            if not self._having[caller.who]:
                del self._having[caller.who]

    def _at(self, scope: Scope) -> Socket | None:
        app = self._app
        raw_path = below(scope.get("raw_path") or scope["path"].encode(), app.settings.root_path)
        socket = self._sockets.get(raw_path)
        return socket if socket is not None and socket.surface in app.room.configuration.serve.surfaces else None

    def _let_in(self, socket: Socket | None, scope: Scope, headers: Headers) -> Callable[[], Caller]:
        """What says who it is, now and later.

        Raises:
            Refused: it may not come, whoever it is.
        """
        app = self._app
        app.guard().check(scope, headers)
        if socket is None:
            on = app.room.configuration.serve.surfaces
            there = ", ".join(known.path.decode() for known in self._sockets.values() if known.surface in on)
            raise Refused("There is no WebSocket here.", status=404, code="not_found", hint=there and f"It is {there}.")
        if headers.get("origin") is not None and not socket.pages:
            raise Refused("A page may not open a session.", status=403, code="origin_not_allowed")
        key = socket.key_of(headers)
        return lambda: enter(app, scope, headers, "user", key)

    def _check_room(self, caller: Caller) -> None:
        limits, room = self._app.settings.limits, self._app.room
        if room.ending:
            raise Refused("The server ends.", status=503, code="ending", retry_after=10.0)
        if self._having[caller.who] >= limits.caller_sessions or self._having.total() >= limits.sessions:
            raise Refused(
                "As many sessions are open as may be.", status=429, code="rate_limit_exceeded", retry_after=5.0,
                hint="Close one, or use one binding for several calls.",
            )  # fmt: skip


async def _refuse(send: Send, exc: Exception, *, ours: bool) -> None:
    told = errors.told(exc, ours=ours)
    body = json.dumps(told.body).encode()
    headers = {"content-type": "application/json", "x-content-type-options": "nosniff", **told.headers}
    await send({
        "type": "websocket.http.response.start", "status": told.status,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    })  # fmt: skip
    await send({"type": "websocket.http.response.body", "body": body})
