"""uvicorn, with deadlines that it does not have: for headers, for whoever takes nothing of an answer, for what is left.

A body has its deadline where it is read (``bodies``): only there is it known whose time it is.
"""

from __future__ import annotations

import asyncio
import json
import resource
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import h11
import uvicorn
from lollms_modalities import wire
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from lollms_server.web.app import App
from lollms_server.web.connection import CONNECTION, Connection, has_hung_up
from lollms_server.web.settings import Limits
from lollms_server.web.writing import Together

_LOOK = 1.0  # seconds between two looks at whether a WebSocket's client is there
_KEEP_ALIVE = 15  # seconds between two requests of a connection; above what clients' pools take for granted


def _protocol(limits: Limits) -> type[H11Protocol]:
    class Watched(H11Protocol):
        """One connection."""

        _slow: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(cast(asyncio.Transport, Together(transport, self.loop)))
            self.connection = Connection(lambda: self.conn.their_state is h11.SEND_BODY)
            self.app_state = {**self.app_state, CONNECTION: self.connection}  # each request's scope has it as its state
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                # asyncio does so itself only where the listening socket names its protocol. Without it the end of an
                # answer waits 40 ms for the acknowledgement of its beginning.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if len(self.connections) > limits.connections:
                transport.abort()
                return
            self._mind()

        def connection_lost(self, exc: Exception | None) -> None:
            self._slow = _stopped(self._slow)
            self._stuck = _stopped(self._stuck)
            super().connection_lost(exc)
            self.connection.lose()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._mind()

        def _mind(self) -> None:
            """Have a clock run while a request's headers come, or a body that nobody reads."""
            unread = self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY
            if self.conn.their_state is h11.IDLE or unread:
                if self._slow is None:
                    seconds = limits.linger_seconds if unread else limits.header_seconds
                    self._slow = self.loop.call_later(seconds, self._too_slow)
            else:
                self._slow = _stopped(self._slow)

        def _too_slow(self) -> None:
            self._slow = None
            self.transport.abort()

        def on_response_complete(self) -> None:
            cast(Together, self.transport).flush()
            super().on_response_complete()
            self._slow = _stopped(self._slow)
            if self.conn.their_state is h11.SEND_BODY:
                self._mind()
            if self.transport.is_closing():
                self._mind_writing()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._mind_writing()

        def shutdown(self) -> None:
            super().shutdown()
            self._mind_writing()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._mind_writing()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stuck = _stopped(self._stuck)

        def _mind_writing(self) -> None:
            """Have a clock run while what is sent is not taken."""
            if self._stuck is None and self.transport.get_write_buffer_size():
                self._stuck = self.loop.call_later(limits.read_seconds, self.transport.abort)

        def send_400_response(self, msg: str) -> None:
            """A request that is none: too large a header among them."""
            message = "This is no HTTP request that the server reads: it is malformed, or its headers are too large."
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": "bad_request"}
            body = json.dumps({"error": error, "detail": message}).encode()
            headers = [
                (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"), (b"x-content-type-options", b"nosniff"),
                (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
            ]  # fmt: skip
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                # In the middle of an answer nothing can be added to it.
                parts = (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(data=body))
                for part in (*parts, h11.EndOfMessage()):
                    self.transport.write(self.conn.send(part) or b"")
            self.transport.close()
            self._mind_writing()

    return Watched


def _websocket(limits: Limits) -> type[WebSocketsSansIOProtocol]:
    class Bounded(WebSocketsSansIOProtocol):
        """A connection that has become a WebSocket."""

        _stuck: asyncio.TimerHandle | None = None
        _looks: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stuck, self._looks = _stopped(self._stuck), _stopped(self._looks)
            super().connection_lost(exc)
            self.writable.set()  # nobody takes anything any more: whoever waits for that is told
            self.app_state[CONNECTION].lose()

        def _look(self) -> None:
            """Whether somebody is there still, again and again: what nobody reads does not tell of its end."""
            self._looks = self.loop.call_later(_LOOK, self._look)
            if self.read_paused and has_hung_up(self.transport):
                self.transport.abort()
            elif self.transport.is_closing():
                self._mind_writing()

        def _mind_writing(self) -> None:
            if self._stuck is None:
                self._stuck = self.loop.call_later(limits.unread_seconds, self.transport.abort)

        def send_receive_event_to_app(self) -> None:
            if self.curr_msg_data_type == "text":
                self.frames = [b"".join(self.frames)]
                try:
                    self.frames[0].decode()
                except UnicodeDecodeError:  # which uvicorn writes into the log
                    self.frames = []
                    self.conn.send_close(CloseCode.INVALID_DATA)
                    self.handle_parser_exception()
                    return
            super().send_receive_event_to_app()

        def keepalive_timeout(self) -> None:
            if self.read_paused and self.transport.get_write_buffer_size() == 0:
                # Sound comes faster than the engine takes it, and nothing more is read: the answer to the ping neither.
                self.pong_timer = self.loop.call_later(limits.ping_seconds, self.keepalive_timeout)
                return
            super().keepalive_timeout()

        def pause_writing(self) -> None:
            super().pause_writing()
            # Each ping is answered: of whoever takes no answers none is read any more.
            self.transport.pause_reading()
            self._mind_writing()

        def resume_writing(self) -> None:
            super().resume_writing()
            if not self.transport.is_closing():
                self._stuck = _stopped(self._stuck)
            if not self.read_paused:
                self.transport.resume_reading()

    return Bounded


def _stopped(clock: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """None, which takes the stopped clock's place."""
    if clock is not None:
        clock.cancel()
    return None


def uvicorn_config(
    app: App, *, grace: float = 5.0, certificate: Path | None = None, key: Path | None = None
) -> uvicorn.Config:
    """What uvicorn is to be run with.

    Args:
        grace: seconds that connections get when the server ends; what calls under way get is the room's to give.
        certificate, key: for TLS.
    """
    limits = app.settings.limits
    allow_connections(limits.connections)
    return uvicorn.Config(
        app,
        http=_protocol(limits),
        ws=_websocket(limits),
        ws_max_size=wire.HEAD.size + limits.frame_text + wire.CHUNK,
        ws_per_message_deflate=False,  # a small message that becomes a large one
        ws_ping_interval=limits.ping_seconds,
        ws_ping_timeout=limits.ping_seconds,
        loop="asyncio",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(grace)),
        h11_max_incomplete_event_size=limits.header_bytes,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def allow_connections(wanted: int) -> None:
    """Let the process have that many connections, as far as the system lets it."""
    with suppress(ValueError, OSError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted + 512 if hard == resource.RLIM_INFINITY else min(hard, wanted + 512)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
