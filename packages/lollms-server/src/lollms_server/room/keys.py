"""Keys: a file of their hashes, and what each may use.

A key is 256 random bits, so that a plain SHA-256 of it tells nobody anything. The file is read again when it has
changed: what ``lollms serve key`` does counts from the next request on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lollms_modalities import ConfigurationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lollms_server.room.callers import Caller
from lollms_server.room.errors import KeyRefused
from lollms_server.room.log import log_act
from lollms_server.room.models import NAME

PREFIX = "lollms-"


class Key(BaseModel):
    """What is known of one key; the key itself is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    role: Literal["user", "admin"] = "user"
    models: tuple[str, ...] | None = None
    at_once: int | None = Field(default=None, ge=1)
    engine_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    created: str = ""

    @property
    def since(self) -> float:
        """Unix time in seconds at which it was made."""
        try:
            return datetime.fromisoformat(self.created).timestamp()
        except ValueError:  # written by hand
            return 0.0

    def caller(self, address: str) -> Caller:
        """Who asks with it."""
        models = None if self.models is None else frozenset(self.models)
        return Caller(self.name, self.role, address, models, self.at_once, self.engine_seconds, self.created)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()


class Keys:
    """The keys in one file, of mode 0600.

    Attributes:
        changed: called with the keys when others are found in the file than before, the first time too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed: Callable[[tuple[Key, ...]], object] = lambda keys: None
        self._seen: object = ()
        self._keys: tuple[Key, ...] = ()
        self._looked: asyncio.AbstractEventLoop | None = None  # in its turn of now

    def all(self) -> tuple[Key, ...]:
        """The keys of now.

        Raises:
            ConfigurationError: the file is damaged, or others may read it. Nobody is let in then.
        """
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            seen: object = None
        else:
            seen = (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)
        if seen != self._seen:
            keys = self._read()
            if self._seen != ():
                log_act("terminal", "keys", names=[key.name for key in keys])
            self._keys, self._seen = keys, seen
            self.changed(keys)
        return self._keys

    def of_this_turn(self) -> tuple[Key, ...]:
        """The same, looked for once in a turn of the event loop, however many requests that has to do with.

        Each look lets another thread run, for which the loop then waits.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread has no turns
            return self.all()
        if self._looked is loop:
            return self._keys
        keys = self.all()
        loop.call_soon(self._turn_ended)
        self._looked = loop
        return keys

    def _turn_ended(self) -> None:
        self._looked = None

    def find(self, presented: str, address: str) -> Caller:
        """Who has that key.

        Raises:
            KeyRefused: nobody.
        """
        given = _hash(presented)
        matching = None
        for key in self.of_this_turn():  # each is compared, so that the time tells nothing
            if hmac.compare_digest(key.hash.encode(), given.encode()):
                matching = key
        if matching is None:
            raise KeyRefused("That key is not known here.", hint="Ask whoever runs the server for one.")
        return matching.caller(address)

    def named(self, name: str, address: str) -> Caller:
        """Who has the key of that name, which did not come with the request: a surface without keys stands for it.

        Raises:
            KeyRefused: there is none any more.
        """
        for key in self.all():
            if key.name == name:
                return key.caller(address)
        raise KeyRefused(f"The key {name!r} is no more.", hint="Ask whoever runs the server.")

    def add(
        self, name: str, *, role: Literal["user", "admin"] = "user", models: tuple[str, ...] | None = None,
        at_once: int | None = None, engine_seconds: float | None = None,
    ) -> str:  # fmt: skip
        """Make a key; gives it, and nothing else ever will.

        Raises:
            ConfigurationError: there is one of that name, or it is none.
        """
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name of a key.", hint="Use letters, digits, and _ . - within.")
        with self._changing() as keys:
            if any(key.name == name for key in keys):
                raise ConfigurationError(f"There is a key {name!r} already.", hint="Rotate it, or choose another name.")
            made = _new()
            created = datetime.now(UTC).isoformat(timespec="milliseconds")
            try:
                key = Key(
                    name=name, hash=_hash(made), role=role, models=models, at_once=at_once,
                    engine_seconds=engine_seconds, created=created,
                )  # fmt: skip
            except ValidationError as exc:
                error = exc.errors()[0]
                raise ConfigurationError(f"{error['loc'][0]}: {error['msg']}.") from None
            keys.append(key)
        return made

    def rotate(self, name: str) -> str:
        """Put a new key in the place of the one of that name, which no longer counts; gives it.

        Raises:
            ConfigurationError: there is none.
        """
        made = _new()
        with self._changing() as keys:
            where = self._index(keys, name)
            keys[where] = keys[where].model_copy(update={"hash": _hash(made)})
        return made

    def remove(self, name: str) -> None:
        """Take the key of that name out.

        Raises:
            ConfigurationError: there is none.
        """
        with self._changing() as keys:
            del keys[self._index(keys, name)]

    def _index(self, keys: list[Key], name: str) -> int:
        for where, key in enumerate(keys):
            if key.name == name:
                return where
        known = ", ".join(key.name for key in keys) or "none"
        raise ConfigurationError(f"There is no key {name!r}.", hint=f"There are: {known}.")

    def _read(self) -> tuple[Key, ...]:
        try:
            data, mode = read_private(self.path)
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise ConfigurationError(
                f"The keys in {self.path} cannot be read: {exc.strerror}.", hint="Name a file as [serve] keys_file."
            ) from exc
        if mode & 0o077:
            raise ConfigurationError(
                f"{self.path} can be read or changed by others: its mode is {mode:o}.",
                hint=f"Run chmod 600 {self.path}.",
            )
        try:
            return _File.model_validate_json(data).keys
        except ValidationError as exc:
            raise ConfigurationError(
                f"{self.path} is damaged: {exc.errors()[0]['msg']}.", hint="Mend it; until then nobody is let in."
            ) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        import fcntl

        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = list(self._read())
            yield keys
            write_private(self.path, _File(keys=tuple(keys)).model_dump())
        finally:
            os.close(lock)


def read_private(path: Path) -> tuple[bytes, int]:
    """What a file holds, and its mode.

    Raises:
        OSError: it cannot be read, or is none: a pipe would be waited for, and a device has no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(found):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(), found & 0o777


def write_private(path: Path, content: Any) -> None:
    """Write JSON in one step, for its owner's eyes alone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    os.replace(part, path)


def _new() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
