"""Who may come in at all, before anything is routed: names of hosts, origins of pages, what proxies say.

None of it trusts what a request says of its own address: a route's access goes by the route.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import secrets
import socket
from collections.abc import Iterable, Mapping, Set

from starlette.types import Scope

from lollms_server.web.errors import Refused
from lollms_server.web.settings import WebSettings

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SERVER, _NUMBERS = secrets.token_hex(8), itertools.count(1)
_HEADERS = 100
_REFUSES = re.compile(r"q ?= ?0(\.0*)?")
_PROXIES = frozenset((
    "forwarded", "via", "x-forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip",
    "cf-connecting-ip", "fly-client-ip",
))  # fmt: skip
_PROXIES_BEGIN = ("x-forwarded-", "x-original-")


class Headers:
    """The headers of a request; a name that comes twice is known."""

    def __init__(self, scope: Scope) -> None:
        self.all: list[tuple[str, str]] = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]]
        self._first = dict(reversed(self.all))

    def get(self, name: str) -> str | None:
        """The first of that name."""
        return self._first.get(name)

    def count(self, name: str) -> int:
        """How many there are of that name."""
        return sum(known == name for known, _ in self.all)

    def only(self, name: str, *, alike: bool = False) -> str | None:
        """The one of that name.

        Args:
            alike: several that say the same are one.

        Raises:
            Refused: there are several, of which each program would take another.
        """
        if len(self._first) < len(self.all) and (count := self.count(name)) > 1:
            if alike and all(value == self._first[name] for known, value in self.all if known == name):
                return self._first[name]
            raise Refused(f"There are {count} headers {name!r}.", code="repeated_header", hint="Send one.")
        return self._first.get(name)

    def accepts(self, what: str, header: str = "accept") -> bool:
        """Whether the caller says by name that it takes that: a media type, or an encoding."""
        for part in (self._first.get(header) or "").lower().split(","):
            name, *more = (piece.strip() for piece in part.split(";"))
            if name == what:
                return not any(_REFUSES.fullmatch(piece) for piece in more)
        return False

    def any(self, names: Set[str], beginnings: tuple[str, ...]) -> bool:
        """Whether there is one of these names, or one that begins so."""
        return any(known in names or known.startswith(beginnings) for known in self._first)


def request_id(headers: Headers) -> str:
    """The caller's, where there is one and it is harmless in a log and a header; else one of ours."""
    given = headers.get("x-request-id") if headers.count("x-request-id") == 1 else None
    # Nobody gains by guessing one: of another's call it says that there is none.
    return given if given is not None and _ID.fullmatch(given) else f"req_{_SERVER}{next(_NUMBERS):08x}"


class Guard:
    """Refuses what comes by a name, from a page or through a proxy that nobody named."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        own = (*_LOOPBACK, socket.gethostname().lower(), *settings.hosts)
        self._hosts = frozenset(host.lower().strip("[]").rstrip(".") for host in own)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.origins)
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in settings.trusted_proxies]

    def check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what is not meant for us, or not sent by whom it concerns.

        Raises:
            Refused: with what its operator can name in the configuration.
        """
        self._check_size(scope, headers)
        self._check_host(scope, headers)
        self._check_origin(headers)

    def _check_size(self, scope: Scope, headers: Headers) -> None:
        # What comes in one piece, uvicorn takes whole.
        size = len(scope["query_string"]) + len(scope.get("raw_path") or b"")
        size += sum(len(name) + len(value) + 4 for name, value in headers.all)
        if size > self._settings.limits.header_bytes or len(headers.all) > _HEADERS:
            raise Refused("The headers are too large.", status=431, code="too_large", headers={"connection": "close"})
        if headers.get("transfer-encoding") is not None and headers.get("content-length") is not None:
            # A proxy before us may go by the other: what is a body there is the next request here.
            raise Refused(
                "The body's length is told in two ways, Transfer-Encoding and Content-Length.", code="invalid_length",
                hint="Send one of them.", headers={"connection": "close"},
            )  # fmt: skip

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        host = headers.only("host")
        match = _HOST.fullmatch(host or "")
        name = match[1].lower().strip("[]").rstrip(".") if match else ""
        if name in self._hosts or (name and name == _bound_to(scope)):
            return
        raise Refused(
            f"This server does not answer to the host {host!r:.100}.", status=403, code="host_not_allowed",
            hint="Its operator can name that in allowed_hosts, in [serve] of the configuration.",
        )  # fmt: skip

    def _check_origin(self, headers: Headers) -> None:
        origin = headers.only("origin")
        own = (headers.get("host") or "").lower()
        # Ours whatever the scheme, which a proxy may change.
        if origin is None or self.cors(origin) or origin.lower().partition("://")[2] == own:
            return
        raise Refused(
            f"A page of {origin!r:.100} may not ask here.", status=403, code="origin_not_allowed",
            hint="The operator can name it in origins, in [serve] of the configuration.",
        )  # fmt: skip

    def forwarded(self, scope: Scope, headers: Headers) -> bool:
        """Whether it came through a proxy that nobody named, or that does not say for whom it asks.

        Whoever asks only looks like that proxy then. One that was named and says nothing at all is such a one, too.
        """
        through = headers.any(_PROXIES, _PROXIES_BEGIN) or self._trusts(_peer(scope))
        return through and not self._followed(scope, headers)[1]

    def cors(self, origin: str | None) -> bool:
        """Whether pages of that origin were named."""
        return origin is not None and origin.lower() in self._origins

    def _trusts(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in proxy for proxy in self._proxies)

    def address(self, scope: Scope, headers: Headers) -> str:
        """Where a request came from: who connected, or what the trusted proxies before us say, as far as they are."""
        return self._followed(scope, headers)[0]

    def scheme(self, scope: Scope, headers: Headers) -> str:
        """``http`` or ``https``, as the caller said it: where a trusted proxy asks for it, to that."""
        said = (headers.get("x-forwarded-proto") or "").strip().lower()
        return said if said in ("http", "https") and self._trusts(_peer(scope)) else str(scope["scheme"])

    def _followed(self, scope: Scope, headers: Headers) -> tuple[str, bool]:
        """That address, and whether a trusted proxy has said it."""
        peer, told = _peer(scope), False
        if not self._proxies:
            return peer, told
        said = [part.strip() for name, value in headers.all if name == "x-forwarded-for" for part in value.split(",")]
        while self._trusts(peer) and said:
            before = said.pop()
            try:
                found = ipaddress.ip_address(before)
            except ValueError:
                return peer, False
            if getattr(found, "scope_id", None) is not None:
                return peer, False  # a name of the caller's own network, of any length: it tells nothing here
            peer, told = str(found), True
        return peer, told


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "terminal"


def _bound_to(scope: Scope) -> str:
    """The address at which the connection came in. No name of another machine's can be that."""
    server = scope.get("server")
    return str(server[0]).lower() if server else ""


_ASKED = re.compile(r"[a-z0-9-]{1,60}")
_MAY_BE_ASKED = (
    "authorization",
    "content-type",
    "accept",
    "x-request-id",
    "idempotency-key",
    "prefer",
    "range",
    "x-stainless-",
    "openai-",
)


def preflight(headers: Headers, methods: Iterable[str]) -> Mapping[str, str]:
    """What a browser is told before it asks for a page of an origin that was named."""
    asked = [name.strip().lower() for name in (headers.get("access-control-request-headers") or "").split(",")]
    taken = [
        name
        for name in asked
        if _ASKED.fullmatch(name)
        and any(name == known or (known.endswith("-") and name.startswith(known)) for known in _MAY_BE_ASKED)
    ]
    return {
        "access-control-allow-methods": ", ".join(sorted({"GET", "POST", "DELETE", "PUT", *methods})),
        "access-control-allow-headers": ", ".join(taken),
        "access-control-max-age": "600",
    }


def below(raw_path: bytes, root: str) -> bytes:
    """The path below what a proxy puts before ours, where it leaves that."""
    prefix = root.rstrip("/").encode()
    return raw_path[len(prefix) :] if prefix and raw_path.startswith(prefix + b"/") else raw_path
