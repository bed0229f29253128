"""Who may open a session: the route's own checks, before a WebSocket is there at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from lollms_server.room.callers import Caller
from lollms_server.web import errors
from lollms_server.web.common import hops_of
from lollms_server.web.entering import bearer, enter
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers, below, request_id
from lollms_server.web.worker.session import Gone, Session, session_id

if TYPE_CHECKING:
    from lollms_server.web.app import App

PATH = b"/lollms/v2/worker"


class Entrance:
    """Of one application."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._having: Counter[str] = Counter()  # sessions, by caller

    async def enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its request to its end."""
        await receive()
        headers = Headers(scope)
        try:
            enter = self._let_in(scope, headers)
            caller = enter()
            self._check_room(caller)
        except Exception as exc:
            await _refuse(send, exc)
            return
        self._having[caller.who] += 1
        try:
            await send({"type": "websocket.accept"})
            session = Session(
                self._app, session_id(request_id(headers)), hops_of(headers), enter, _receiving(receive), _sending(send)
            )
            ended = await session.run()
            reason = ended.reason.encode("ascii", "replace")[:120].decode()  # a frame of the end holds 123 bytes
            with suppress(OSError, RuntimeError):  # nobody is there, or it is closed already
                await send({"type": "websocket.close", "code": ended.code, "reason": reason})
        except OSError:
            pass
        finally:
            self._having[caller.who] -= 1
            if not self._having[caller.who]:
                del self._having[caller.who]

    def _let_in(self, scope: Scope, headers: Headers) -> Callable[[], Caller]:
        """What says who it is, now and later.

        Raises:
            Refused: it may not come, whoever it is.
        """
        app = self._app
        guard = app.guard()
        guard.check(scope, headers)
        raw_path = below(scope.get("raw_path") or scope["path"].encode(), app.settings.root_path)
        if raw_path != PATH or "lollms" not in app.room.configuration.serve.surfaces:
            raise Refused("There is no WebSocket here.", status=404, code="not_found", hint=f"It is {PATH.decode()}.")
        if headers.get("origin") is not None:
            raise Refused("A page may not open a session.", status=403, code="origin_not_allowed")
        key = bearer(headers)
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


def _receiving(receive: Receive) -> Callable[[], Any]:
    async def frame() -> bytes | None:
        message = await receive()
        if message["type"] != "websocket.receive":
            raise Gone
        found: bytes | None = message.get("bytes")
        return found

    return frame


def _sending(send: Send) -> Callable[[bytes], Any]:
    async def frame(data: bytes) -> None:
        try:
            await send({"type": "websocket.send", "bytes": data})
        except (OSError, RuntimeError):  # it is closed, by whomever
            raise Gone from None

    return frame


async def _refuse(send: Send, exc: Exception) -> None:
    told = errors.told(exc, ours=True)
    body = json.dumps(told.body).encode()
    headers = {"content-type": "application/json", "x-content-type-options": "nosniff", **told.headers}
    await send({
        "type": "websocket.http.response.start", "status": told.status,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    })  # fmt: skip
    await send({"type": "websocket.http.response.body", "body": body})
