"""The table of routes: what routes is what the OpenAPI document is made of.

A path is matched segment by segment as it came, before anything in it is decoded: ``a%2Fb`` is one segment. A
template's last segment may be ``{name*}``, which takes all that is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote_to_bytes

from lollms_server.web.entering import KeyOf, bearer
from lollms_server.web.errors import Refused, Told

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lollms_server.web.answers import Answer
    from lollms_server.web.asked import Asked

_KNOWN = 256  # paths that were found of late; each is as long as a request's line may be
Access = Literal["open", "lists", "user", "admin"]
Handler = Callable[["Asked"], Awaitable["Answer | None"]]


@dataclass(frozen=True)
class Route:
    """One thing that can be asked for.

    Attributes:
        method, path: as in ``GET`` and ``/v1/models/{model*}``.
        handler: what answers.
        summary: one line for the document.
        access: who may ask: anybody, anybody where lists are left open, who has a key where there are keys, an admin.
        body: what its JSON or form holds; None where there is none.
        form: the names of the form's files, and ``needed`` those of them that must be there. Without, only JSON is
            taken.
        status: of a good answer; ``also``: of others that are good, too.
        answers: media types of the answer, with the schema of a JSON one.
        query: names of what may stand after the question mark, and what that is.
        key_of: where its clients put their key.
        key_field: of a JSON body, in which some put it instead; "" where they do not.
        shaped: an error as its clients read it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    access: Access = "user"
    body: type[BaseModel] | None = None
    form: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    status: int = 200
    also: tuple[int, ...] = ()
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"application/json": {}})
    query: Mapping[str, str] = field(default_factory=dict)
    key_of: KeyOf = bearer
    key_field: str = ""
    shaped: Callable[[Told], Told] = lambda told: told

    @property
    def parameters(self) -> list[str]:
        """Names of what stands in the path."""
        return [part.strip("{*}") for part in self.path.split("/") if part.startswith("{")]


class Routes:
    """All routes, found by method and raw path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.all = tuple(routes)
        self._by_path: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in self.all:
            methods = self._by_path.setdefault(tuple(route.path.split("/")[1:]), {})
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} stands twice in the table of routes")
            methods[route.method] = route
        self._known = lru_cache(_KNOWN)(self._looked_for)
        # What is said outright goes before what takes anything.
        self._templates = sorted(self._by_path, key=lambda t: [("{" in part) + ("*" in part) for part in t])

    def find(self, method: str, raw_path: bytes) -> tuple[Route, Mapping[str, str]]:
        """The route, and what its path's parameters are.

        Raises:
            Refused: 404 where there is no such path, 405 where it is not for this method.
        """
        return self._known(method, raw_path)

    def _looked_for(self, method: str, raw_path: bytes) -> tuple[Route, Mapping[str, str]]:
        parts = raw_path.split(b"/")
        allowed: list[str] = []
        if parts[0] == b"" and len(parts) > 1:
            for template in self._templates:
                if (found := _matched(template, parts[1:])) is None:
                    continue
                methods = self._by_path[template]
                route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
                if route is not None:
                    return route, MappingProxyType(found)
                allowed += methods
        if allowed:
            raise Refused(
                f"{method:.20} is not for this path.", status=405, code="method_not_allowed",
                headers={"allow": ", ".join(sorted(allowed))},
            )  # fmt: skip
        raise Refused("There is nothing at this path.", status=404, code="not_found", hint="See /openapi.json.")


def _matched(template: tuple[str, ...], parts: list[bytes]) -> dict[str, str] | None:
    if len(parts) < len(template) or (len(parts) > len(template) and not template[-1].endswith("*}")):
        return None
    found: dict[str, str] = {}
    for number, known in enumerate(template):
        if known.endswith("*}"):
            part = b"/".join(parts[number:])
        elif known.startswith("{"):
            part = parts[number]
        elif known.encode() == parts[number]:
            continue
        else:
            return None
        if not part:
            return None
        try:
            found[known.strip("{*}")] = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            return None
    return found
