"""The Unix socket for those at the terminal, who are admins: a line of JSON each way, one act a connection.

Its mode is 0600, and the other end is asked for its user: nobody else of the machine is let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from lollms_modalities import ConfigurationError, LollmsError

from lollms_server.room.callers import TERMINAL
from lollms_server.room.models import MODALITIES, Chosen
from lollms_server.room.room import Room

_LONGEST = 65536  # bytes of a line
Act = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Terminal:
    """The socket of a room.

    Args:
        room: which it asks.
        path: of the socket.
        acts: what else can be asked of it, by name; each is given what was asked.
    """

    def __init__(self, room: Room, path: Path, acts: Mapping[str, Act] | None = None) -> None:
        self._room = room
        self._path = path
        self._acts = dict(acts or {})
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: another server listens there, or the path cannot be used.
        """
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = folder.stat().st_uid
        except OSError as exc:
            raise ConfigurationError(f"There is no folder for the socket {self._path}: {exc.strerror}.") from exc
        if owner not in (os.getuid(), 0):
            raise ConfigurationError(
                f"The folder of the socket {self._path} is another user's.", hint="Name one of your own with --socket."
            )
        if await _answers(self._path):
            raise ConfigurationError(
                f"Another server listens at {self._path}.",
                hint="End that one, or give this one another port or socket.",
            )
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise ConfigurationError(
                    f"{self._path} is there, and is no socket.", hint="Name another path with --socket."
                )
            self._path.unlink()
        sock = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)  # so that it never has another mode
        try:
            sock.bind(str(self._path))
        except OSError as exc:
            sock.close()
            raise ConfigurationError(f"The socket {self._path} cannot be made: {exc.strerror or exc}.") from exc
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=_LONGEST)

    async def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_ours(writer.get_extra_info("socket")):
                return
            try:
                answer = {"ok": await self._do(json.loads(await reader.readline()))}
            except LollmsError as exc:
                answer = {"error": exc.to_json()}
            except (ValueError, KeyError, TypeError, AttributeError) as exc:
                answer = {"error": LollmsError(f"That is nothing that can be asked: {exc}.").to_json()}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # it has gone
        finally:
            writer.close()

    async def _do(self, asked: dict[str, Any]) -> Any:
        room, act = self._room, asked["act"]
        if act == "ps":
            calls = [call.to_json() for call in room.calls(TERMINAL)]
            return {"models": room.state(TERMINAL), "calls": calls, "ready": room.ready(), **room.health()}
        if act == "load":
            await room.load(self._chosen(asked["model"]), TERMINAL)
            return True
        if act == "unload":
            return await room.unload(self._chosen(asked["model"]), TERMINAL)
        if act == "cancel":
            room.cancel(asked["call"], TERMINAL)
            return True
        return await self._acts[act](asked)

    def _chosen(self, name: str) -> Chosen:
        """``tts:piper``, or ``piper`` where one modality has it."""
        modality, colon, rest = name.partition(":")
        if colon and modality in MODALITIES:
            return self._room.find(rest, modality, TERMINAL)
        having = [model.modality for model in self._room.models(TERMINAL) if model.name == name]
        if len(having) > 1:
            shown = " or ".join(f"{modality}:{name}" for modality in having)
            raise ConfigurationError(f"{name!r} is served for {', '.join(having)}.", hint=f"Say {shown}.")
        return self._room.find(name, having[0] if having else MODALITIES[0], TERMINAL)


def ask(path: Path, **asked: Any) -> Any:
    """Ask the server whose socket is there; what it answers. For programs without an event loop.

    Raises:
        ConfigurationError: none listens there.
        LollmsError: what it raised.
    """
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(json.dumps(asked).encode() + b"\n")
            line = sock.makefile("rb").readline()
    except OSError as exc:
        raise ConfigurationError(
            f"No server answers at {path}: {exc.strerror or exc}.",
            hint="Start it with lollms serve; --port or --socket says which one is meant.",
        ) from exc
    if not line:
        raise ConfigurationError(f"The server at {path} ended without an answer, or is another user's.")
    answer = json.loads(line)
    if "error" in answer:
        raise LollmsError.from_json(answer["error"])
    return answer["ok"]


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _is_ours(sock: Any) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the mode of the socket is what there is
    _, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return user in (os.getuid(), 0)
