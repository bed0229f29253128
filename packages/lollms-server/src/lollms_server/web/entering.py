"""Who asks: where each surface's clients put their key, and whom that lets in.

Whatever the place, it is one of the server's own keys, and the engine room says what it is for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.types import Scope

from lollms_server.room.callers import Caller
from lollms_server.room.errors import NotAllowed
from lollms_server.room.log import log_act
from lollms_server.web.errors import Refused
from lollms_server.web.guard import Headers

if TYPE_CHECKING:
    from lollms_server.web.app import App
    from lollms_server.web.routes import Access

KeyOf = Callable[[Headers], str | None]


def bearer(headers: Headers) -> str | None:
    """The key of ``Authorization: Bearer KEY``; None where there is no such header.

    Raises:
        Refused: the header is of another kind.
    """
    said = headers.only("authorization")
    if said is None:
        return None
    scheme, _, key = said.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refused(
            "The Authorization header is none of a key.", status=401, code="invalid_api_key",
            hint="It is `Authorization: Bearer KEY`.",
        )  # fmt: skip
    return key.strip()


def basic(headers: Headers) -> str | None:
    """The same of clients that have a name and a password, of which the password is the key: or of Bearer.

    An empty one, as some send where nothing is set, is none.

    Raises:
        Refused: the header is of another kind.
    """
    scheme, _, said = (headers.only("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return bearer(headers) if said or scheme else None
    try:
        name, colon, password = base64.b64decode(said.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Refused(
            "The Authorization header is no base64 of NAME:KEY.", status=401, code="invalid_api_key"
        ) from None  # fmt: skip
    return (password if colon else name).strip() or None


def header(name: str) -> KeyOf:
    """The key alone in a header of that name, in lower case; or of Bearer."""

    def key_of(headers: Headers) -> str | None:
        said = headers.only(name)
        return bearer(headers) if said is None else said.strip() or None

    return key_of


def enter(
    app: App, scope: Scope, headers: Headers, access: Access, key: str | None, what: str = ""
) -> Caller:  # fmt: skip
    """Who asks.

    Args:
        access: as of the route.
        key: that came, wherever it stood.
        what: is asked for, as it is written down where it is for admins and this is none.

    Raises:
        KeyRefused, NotAllowed: not this one.
    """
    guard = app.guard()
    address = guard.address(scope, headers)
    if access == "open":
        return Caller(None, "anonymous", address)
    caller = app.room.authenticate(
        key, address, forwarded=guard.forwarded(scope, headers), lists=access == "lists"
    )  # fmt: skip
    if access == "admin" and not caller.is_admin:
        log_act(caller.who, what, allowed=False)
        raise NotAllowed(
            "This is for admins.",
            hint="Use a key that was made with --role admin, or `lollms serve` at the terminal.",
        )
    return caller
