"""One request, as handlers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel
from starlette.types import Receive, Scope

from lollms_server.room.callers import Caller
from lollms_server.room.errors import KeyRefused
from lollms_server.web.bodies import Body, parse_json
from lollms_server.web.checking import checked
from lollms_server.web.connection import Connection
from lollms_server.web.entering import enter
from lollms_server.web.errors import Refused
from lollms_server.web.forms import Form, read_form
from lollms_server.web.guard import Headers
from lollms_server.web.settings import WebSettings

if TYPE_CHECKING:
    from lollms_server.room.room import Room
    from lollms_server.web.app import App
    from lollms_server.web.routes import Route

_M = TypeVar("_M", bound=BaseModel)
_UNREAD = object()


class Asked:
    """One request.

    Attributes:
        app: the application, its engine room and its settings.
        route: which was found, and ``params``, what stands in its path.
        caller: who asks.
        id: the request's.
        headers: its headers.
        form: what its form holds; empty where it has none.
        fields_of: by what field of the surface the caller knows an option, where they are called otherwise.
    """

    def __init__(
        self, app: App, scope: Scope, receive: Receive, headers: Headers, route: Route, params: Mapping[str, str],
        caller: Caller, id: str,
    ) -> None:  # fmt: skip
        self.app = app
        self.room: Room = app.room
        self.settings: WebSettings = app.settings
        self.route = route
        self.params = params
        self.caller = caller
        self.id = id
        self.headers = headers
        self.form = Form()
        self.fields_of: Mapping[str, str] = {}
        self._scope = scope
        self._receive = receive
        self._connection = Connection.of(scope)
        more = self._connection.more if self._connection is not None else lambda: True
        self._body = Body(receive, app.settings.limits, headers.get("content-length"), more)
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None  # where the server is not ours
        self._gone = False
        self._json: Any = _UNREAD

    def enter(self, key: str | None) -> Caller:
        """Who asks, by a key that stood where the route does not look for one.

        Raises:
            KeyRefused: it is none.
        """
        return enter(self.app, self._scope, self.headers, "user", key)

    async def enter_late(self) -> None:
        """Find out who asks where the key may stand in the body, of which a stranger may send little.

        Raises:
            KeyRefused: there is none in it, or an unknown one, where one is needed.
        """
        try:
            self.caller = self.enter(None)
        except KeyRefused:
            held = await self.json(self.settings.limits.stranger_bytes)
            key = held.get(self.route.key_field) if isinstance(held, dict) else None
            if not isinstance(key, str) or not key:
                raise
            self.caller = self.enter(key)

    # -- what it holds -----------------------------------------------------------------------------------------------

    @property
    def query(self) -> dict[str, str]:
        """What stands after the question mark, each name once; those that the route does not know are left out.

        Raises:
            Refused: there is too much of it.
        """
        try:
            said = parse_qs(self._scope["query_string"].decode("latin-1"), max_num_fields=50, errors="replace")
        except ValueError:
            raise Refused("More than 50 fields stand after the question mark.", code="invalid_query") from None
        return {name: values[-1] for name, values in said.items() if name in self.route.query}

    @property
    def base(self) -> str:
        """The address of this server, as the caller knows it."""
        scheme = self.app.guard().scheme(self._scope, self.headers)
        return f"{scheme}://{self.headers.get('host')}{self.settings.root_path.rstrip('/')}"

    @property
    def is_form(self) -> bool:
        """Whether the body is a form, for a route that takes one. Texts are all that its fields can hold."""
        return bool(self.route.form) and self.content_type == "multipart/form-data"

    @property
    def content_type(self) -> str:
        """The body's, without its parameters."""
        return (self.headers.only("content-type", alike=True) or "").partition(";")[0].strip().lower()

    def _check_encoding(self) -> None:
        encoding = (self.headers.get("content-encoding") or "identity").strip().lower()
        if encoding != "identity":
            raise Refused(
                f"The body is encoded with {encoding[:40]!r}.", status=415, code="unsupported_encoding",
                hint="Send it as it is, without Content-Encoding.",
            )  # fmt: skip

    async def json(self, at_most: int | None = None) -> Any:
        """The body as JSON values, which are read once.

        Args:
            at_most: bytes; what the settings allow where it is left out.

        Raises:
            Refused: it is none; or another type is claimed, as pages of other sites may send without being asked.
        """
        if self._json is not _UNREAD:
            return self._json
        self._check_encoding()
        if self.content_type != "application/json" and not self.content_type.endswith("+json"):
            raise Refused(
                f"The body is {self.content_type[:100] or 'of no type'!r}.", status=415, code="unsupported_media_type",
                hint="Send application/json.",
            )  # fmt: skip
        limits = self.settings.limits
        data = await self._body.whole(limits.json_bytes if at_most is None else at_most, "JSON body")
        self.attend()
        self._json = await parse_json(data, limits)
        return self._json

    async def urlencoded(self) -> dict[str, str]:
        """The body as the fields of a small form of a page's kind, each name once.

        Raises:
            Refused: there is too much of it.
        """
        self._check_encoding()
        data = await self._body.whole(self.settings.limits.stranger_bytes, "form")
        self.attend()
        try:
            said = parse_qs(data.decode("latin-1"), max_num_fields=50, errors="replace")
        except ValueError:
            raise Refused("The form has more than 50 fields.", code="invalid_form") from None
        return {name: values[-1] for name, values in said.items()}

    async def fields(self) -> dict[str, Any]:
        """What a JSON object or a form holds by name. Nulls are left out; of a form's fields each is a list of texts.

        Raises:
            Refused: it is neither.
        """
        if self.is_form:
            self._check_encoding()
            content_type = self.headers.get("content-type") or ""
            limits = self.settings.limits
            folder = self.app.uploads.folder
            await read_form(self._body, self.form, content_type, folder, limits, self.route.form)
            self.attend()
            for name in self.route.form:
                if name in self.form.fields:
                    self.form.file(name)  # which says that a text is none
            return dict(self.form.fields)
        value = await self.json()
        if not isinstance(value, dict):
            raise Refused("The body is no JSON object.", code="invalid_json")
        return {name: held for name, held in value.items() if held is not None}

    async def body(self, model: type[_M]) -> _M:
        """The body as a model, which says what is wrong by name."""
        return checked(model, await self.fields(), form=self.is_form)

    # -- whether anybody waits ---------------------------------------------------------------------------------------

    def attend(self) -> None:
        """From now on the task is cancelled when the caller goes away: in the queue, and in the engine.

        Once the body was read, since what comes after it is the caller's going.
        """
        if self._task is None:
            self._task = asyncio.current_task()
            if self._connection is None:
                self._watcher = asyncio.create_task(self._watch())
                return
            self._connection.on_loss = self._lost
            if self._connection.is_lost:
                self._lost()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._lost()

    def _lost(self) -> None:
        if self._task is not None:
            self._gone = True
            self._task.cancel()

    def left(self) -> bool:
        """Whether it is the caller's going that has cancelled the task."""
        return self._gone and self._task is not None and self._task.uncancel() == 0

    def end(self) -> None:
        """Remove what it brought; nobody is looked after any more."""
        if self._connection is not None:
            self._connection.on_loss = None
        if self._watcher is not None:
            self._watcher.cancel()
        self.form.remove()
