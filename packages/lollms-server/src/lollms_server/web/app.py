"""The ASGI application: one request from its first line to its last byte."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from lollms_server.jobs.board import Jobs, Lease
from lollms_server.web import errors
from lollms_server.web.answers import Answer, json_answer
from lollms_server.web.asked import Asked
from lollms_server.web.automatic1111.desk import Desk
from lollms_server.web.bodies import Gone
from lollms_server.web.common import Descriptions
from lollms_server.web.entering import enter
from lollms_server.web.guard import Guard, Headers, below, preflight, request_id
from lollms_server.web.lollms.kept import Kept
from lollms_server.web.openai.drawing import Together
from lollms_server.web.openai.speech import Spoken
from lollms_server.web.openapi import document
from lollms_server.web.routes import Route, Routes
from lollms_server.web.settings import WebSettings
from lollms_server.web.sockets import Sockets
from lollms_server.web.surfaces import SOCKETS, routes_of
from lollms_server.web.uploads import Uploads
from lollms_server.web.worker.acts import heard_warnings

if TYPE_CHECKING:
    from lollms_server.room.room import Room

_log = logging.getLogger(__name__)
OURS = "/lollms/v2"
# What a page may read of an answer's headers: all in which something is told.
_EXPOSED = (
    b"x-request-id, retry-after, x-lollms-model, x-lollms-alias, x-lollms-voice-alias, x-lollms-ignored, "
    b"x-lollms-call, location, preference-applied, openai-poll-after-ms"
)
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class App:
    """The surface on an engine room, and the jobs that it is asked for.

    Args:
        room: what does the work. Whoever made it closes it.
        settings: who may ask for how much.
        routes: all that can be asked for.
        settled: gives the settings of now, where they may change while the server runs.
        lease: how the server holds the jobs that it runs.

    Raises:
        ConfigurationError: the store of the jobs, or the place of their results, cannot be used.
    """

    def __init__(
        self,
        room: Room,
        settings: WebSettings,
        routes: Iterable[Route],
        settled: Callable[[], WebSettings] | None = None,
        lease: Lease | None = None,
    ) -> None:
        self.room = room
        self.settings = settings
        self.routes = Routes([*routes, Route("GET", "/openapi.json", _document, "This document.", access="open")])
        self.document = document(self.routes)
        self.descriptions = Descriptions(room)
        self._guard = Guard(settings)
        self.uploads = Uploads(settings.uploads)
        self.jobs = Jobs(room, lambda exc: errors.told(exc, ours=True).body["error"], self.uploads.folder, lease)
        self.together = Together(room)
        self.spoken = Spoken(room)
        self.kept = Kept(self.uploads.folder)
        self.desk = Desk()
        self._settled = settled
        self._sockets = Sockets(self, SOCKETS)
        self._hearing = ExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._sockets.enter(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.startup":
                self._hearing.enter_context(heard_warnings())
                self.jobs.start()
            if kind == "lifespan.shutdown":
                await self.jobs.close()
                self._hearing.close()
                self.close()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    def close(self) -> None:
        """Remove what is left of uploads and of jobs that were under way."""
        self.uploads.close()

    def guard(self) -> Guard:
        """By the settings of now."""
        if self._settled is not None and (now := self._settled()) is not self.settings:
            self.settings, self._guard = now, Guard(now)
        return self._guard


async def _document(asked: Asked) -> Answer:
    return json_answer(asked.app.document)


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._app, self._scope, self._receive, self._to = app, scope, receive, send
        self._headers = Headers(scope)
        self._id = request_id(self._headers)
        self._started = False
        self._asked: Asked | None = None
        self._ours = False
        self._shaped: Callable[[errors.Told], errors.Told] = lambda told: told
        self._cors: list[tuple[bytes, bytes]] = []

    async def run(self) -> None:
        try:
            answer = await self._answer()
            if answer is not None:
                send = answer.send_head if self._scope["method"] == "HEAD" else answer.send
                await send(self._forward)
        except Gone:
            pass
        except asyncio.CancelledError:
            if self._asked is None or not self._asked.left():
                raise
        except Exception as exc:
            await self._fail(exc)
        finally:
            if self._asked is not None:
                self._asked.end()

    async def _answer(self) -> Answer | None:
        app, headers, scope = self._app, self._headers, self._scope
        guard = app.guard()
        guard.check(scope, headers)
        raw_path = below(scope.get("raw_path") or scope["path"].encode(), app.settings.root_path)
        self._ours = raw_path.startswith(OURS.encode())
        method = scope["method"]
        if guard.cors(origin := headers.get("origin")):
            allowed = str(origin).encode("latin-1")
            self._cors = [(b"access-control-allow-origin", allowed), (b"vary", b"origin"),
                          (b"access-control-expose-headers", _EXPOSED)]  # fmt: skip
            if method == "OPTIONS" and headers.get("access-control-request-method"):
                return Answer(b"", 204, preflight(headers, ()))
        route, params = app.routes.find(method, raw_path)
        self._shaped = route.shaped
        key = None if route.access == "open" else route.key_of(headers)
        late = bool(route.key_field) and key is None
        caller = enter(app, scope, headers, "open" if late else route.access, key, f"{route.method} {route.path}")
        self._asked = Asked(app, scope, self._receive, headers, route, params, caller, self._id)
        if late:
            await self._asked.enter_late()
        if route.body is None and not route.form:
            self._asked.attend()
        return await route.handler(self._asked)

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            given = {name for name, _ in message["headers"]}
            extra = [(b"x-request-id", self._id.encode()), *_ALWAYS, *self._cors]
            message["headers"] += [header for header in extra if header[0] not in given]
        await self._to(message)

    async def _fail(self, exc: Exception) -> None:
        answer = errors.told(exc, ours=self._ours, fields=None if self._asked is None else self._asked.fields_of)
        if answer.status == 500 and answer.body["error"]["code"] == "internal_error":
            _log.error("request %s failed", self._id, exc_info=exc)
        elif answer.body["error"]["code"] == "misconfigured":
            _log.error("request %s failed: %s", self._id, exc)  # with the paths that the caller is not told
        if self._started:
            # The half of an answer must not pass for the whole: the connection is cut.
            _log.info("request %s was cut: %s", self._id, type(exc).__name__)
            return
        answer = self._shaped(answer)
        await json_answer(answer.body, answer.status, answer.headers).send(self._forward)


def create_app(room: Room) -> App:
    """The application on a room, whose opener closes it. A changed configuration is followed."""
    return App(
        room,
        WebSettings.of(room.configuration),
        routes_of(room.configuration.serve.surfaces, page=room.configuration.serve.page),
        settled=_Settled(room),
    )


class _Settled:
    """The settings of a room's configuration, made anew when that is another."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._of = room.configuration
        self._settings = WebSettings.of(self._of)

    def __call__(self) -> WebSettings:
        if self._room.configuration is not self._of:
            self._of = self._room.configuration
            self._settings = WebSettings.of(self._of)
        return self._settings
