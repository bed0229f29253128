"""The ASGI application of a room."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lollms_server.room.room import Room


def create_app(room: Room) -> Starlette:
    """The application whose routes are answered by the room, which its opener closes."""

    async def health(request: Request) -> Response:
        return JSONResponse(room.health())

    async def ready(request: Request) -> Response:
        return JSONResponse({"ready": room.ready()}, 200 if room.ready() else 503)

    return Starlette(routes=[Route("/health", health), Route("/ready", ready)])
