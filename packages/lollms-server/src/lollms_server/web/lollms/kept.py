"""Sound that is fetched after it was made, by the name that the client chose or by one of ours.

A client's name names no file: it is looked up among the names of the same owner. Ours cannot be guessed, and whoever
has one may fetch what it names, as with a result's address.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from lollms_server.web.errors import NAMED, Refused

LONGEST_NAME = 200  # characters


@dataclass(frozen=True)
class Bounds:
    """How much is kept: files in all and of one owner, bytes in all and of one owner, seconds."""

    files: int = 512
    files_each: int = 32
    size: int = 256_000_000
    size_each: int = 64_000_000
    seconds: float = 900.0


@dataclass(frozen=True)
class _File:
    owner: str
    name: str
    path: Path
    size: int
    until: float


class Kept:
    """What is kept, the oldest first.

    Args:
        folder: in which it lies.
        bounds: how much of it there may be.
    """

    def __init__(self, folder: Path, bounds: Bounds | None = None) -> None:
        self._folder = folder
        self._bounds = bounds or Bounds()
        self._files: OrderedDict[str, _File] = OrderedDict()

    async def keep(self, owner: str, name: str | None, data: bytes, suffix: str = "wav") -> str:
        """Keep it for a while, in the place of what the owner has kept under that name, or of its oldest.

        Args:
            name: the client's.

        Returns:
            Our name for it.

        Raises:
            Refused: it is too large, or the name too long.
        """
        if name is not None and len(name) > LONGEST_NAME:
            raise Refused(f"The name of the file has {len(name)} characters.", code="invalid_value", param="fn")
        if len(data) > self._bounds.size_each:
            raise Refused(
                f"{len(data)} bytes of sound are more than are kept.", status=413, code="too_large",
                hint="Ask in parts, or by a way that answers with the sound itself.",
            )  # fmt: skip
        path = self._folder / f"{NAMED}{secrets.token_hex(16)}"
        writing = asyncio.ensure_future(asyncio.to_thread(_write, path, data))
        try:
            await asyncio.shield(writing)
        except BaseException:
            writing.add_done_callback(lambda _: path.unlink(missing_ok=True))
            raise
        own = f"{secrets.token_hex(16)}.{suffix}"
        self._sweep()
        for key in [key for key, file in self._files.items() if name and (file.owner, file.name) == (owner, name)]:
            self._drop(key)
        self._files[own] = _File(owner, name or own, path, len(data), time.monotonic() + self._bounds.seconds)
        self._make_room(owner)
        return own

    async def read(self, name: str, owner: str | None = None) -> bytes | None:
        """What lies under a name of ours, or under a client's where it is that owner's; None where nothing does."""
        self._sweep()
        if owner is None:
            file = self._files.get(name)
        else:
            file = next((f for f in reversed(self._files.values()) if (f.owner, f.name) == (owner, name)), None)
        if file is None:
            return None
        try:
            return await asyncio.to_thread(file.path.read_bytes)
        except FileNotFoundError:
            return None  # it went meanwhile

    def _sweep(self) -> None:
        now = time.monotonic()
        for key in [key for key, file in self._files.items() if file.until < now]:
            self._drop(key)

    def _make_room(self, owner: str) -> None:
        bounds = self._bounds
        mine = [key for key, file in self._files.items() if file.owner == owner]
        self._shrink(mine, bounds.files_each, bounds.size_each)
        self._shrink(list(self._files), bounds.files, bounds.size)

    def _shrink(self, keys: list[str], files: int, size: int) -> None:
        """Drop the oldest of these until no more are left than that."""
        held = sum(self._files[key].size for key in keys)
        for number, key in enumerate(keys):
            if len(keys) - number <= files and held <= size:
                return
            held -= self._files[key].size
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._files.pop(key).path.unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
