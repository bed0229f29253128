"""Listening: for transcription and for speech at a port each, or for both at one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

from lollms_modalities import ConfigurationError

from lollms_server.room.callers import Caller
from lollms_server.room.configuration import WyomingSettings
from lollms_server.room.door import is_local
from lollms_server.room.room import Room
from lollms_server.wyoming.events import Event, Limits, written
from lollms_server.wyoming.session import Session, Shared

_BUSY = Event("error", {"text": "Too many connections are open.", "code": "too_many_connections"})


class Wyoming:
    """The surface on a room.

    Args:
        room: which it asks. Whoever opened it closes it.
        settings: where it listens, and for whom.
        limits: how much is taken.

    Raises:
        ConfigurationError: whoever connects would have rights that nobody gave them.
    """

    def __init__(self, room: Room, settings: WyomingSettings, limits: Limits | None = None) -> None:
        check(room, settings)
        self._room = room
        self._settings = settings
        self._shared = Shared(
            room, limits or Limits(), live=settings.live, seconds=settings.max_seconds, enter=self._enter
        )
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.host = settings.host
        self.ports: dict[str, int] = {}

    async def open(self, listen: Callable[[str, int], socket.socket]) -> None:
        """Listen. ``ports`` has the ports by modality then.

        Args:
            listen: gives a listening socket, or raises ``ConfigurationError``.
        """
        settings = self._settings
        one = settings.stt_port == settings.tts_port != 0
        ports: Iterable[tuple[int, tuple[str, ...]]] = (
            [(settings.stt_port, ("stt", "tts"))] if one else
            [(settings.stt_port, ("stt",)), (settings.tts_port, ("tts",))]
        )  # fmt: skip
        for port, modalities in ports:
            sock = listen(settings.host, port)
            self.ports |= dict.fromkeys(modalities, sock.getsockname()[1])
            serve = self._connected(modalities)
            self._servers.append(
                await asyncio.start_server(serve, sock=sock, limit=self._shared.limits.line_bytes)
            )  # fmt: skip
        # Home Assistant waits a second for info: it is found out before anybody asks.
        with suppress(Exception):  # the key may be gone: whoever connects is told
            self._shared.directory.look(self._enter("127.0.0.1"), ("stt", "tts"))

    def _enter(self, address: str) -> Caller:
        if self._settings.key is None:
            return self._room.authenticate(None, address)
        return self._room.caller_of(self._settings.key, address)

    def _connected(self, modalities: tuple[str, ...]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._tasks) >= self._settings.max_connections:
                writer.write(written(_BUSY))
                writer.close()
                return
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(Session(self._shared, modalities, reader, writer).run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return serve

    async def close(self) -> None:
        """Listen no longer; what is under way is stopped."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._shared.directory.close()


def check(room: Room, settings: WyomingSettings) -> None:
    """Whether it may be opened so: the protocol has no keys, and none that there is is passed by.

    Raises:
        ConfigurationError: there are keys, or others than this machine reach it, and no key is named; or it is an
            admin's.
    """
    keys = {key.name: key for key in room.keys.all()}
    hint = "Make one, lollms serve key add home, and name it with --wyoming-key home."
    if settings.key is not None:
        if settings.key not in keys:
            raise ConfigurationError(f"[serve.wyoming] key = {settings.key!r}: there is no such key.", hint=hint)
        if keys[settings.key].role == "admin":
            raise ConfigurationError(
                f"[serve.wyoming] key = {settings.key!r} is an admin's: whoever connects would be one.", hint=hint
            )
    elif not is_local(settings.host) and settings.host != "localhost":
        raise ConfigurationError(
            f"Wyoming has no keys of its own, and {settings.host!r} is not this machine alone: nobody has said which "
            "models are for whoever connects.", hint=hint,
        )  # fmt: skip
    elif keys:
        raise ConfigurationError(
            "Wyoming has no keys of its own, and this server has keys: nobody has said with which one's rights its "
            "callers come.", hint=hint,
        )  # fmt: skip
