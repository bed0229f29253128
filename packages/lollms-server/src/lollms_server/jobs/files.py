"""Where uploads and results lie: in a folder, or at any address of fsspec's. A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from lollms_modalities import ConfigurationError, SaveError

from lollms_server.jobs.errors import StoreFull


class Files(Protocol):
    """The files of jobs, each job's under its id. All methods block."""

    def write(self, job_id: str, name: str, source: bytes | Path) -> int:
        """Write a file; its size in bytes.

        Raises:
            StoreFull: the disk is full.
            SaveError: it cannot be written.
        """

    def open(self, job_id: str, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            FileNotFoundError: it is not there.
        """

    def remove(self, job_id: str, *, but: tuple[str, ...] = ()) -> None:
        """Remove the files of a job, except those of these names. None of it need be there."""

    def ids(self, older: float) -> list[str]:
        """Ids of the jobs of which there are files that were last changed more than ``older`` seconds ago."""


def files_of(address: str | Path) -> Files:
    """The files at a folder's path, or at an address with ``://``.

    Raises:
        ConfigurationError: they cannot be kept there.
    """
    try:
        return Remote(str(address)) if "://" in str(address) else Folder(Path(address))
    except (OSError, ValueError, ImportError) as exc:
        hint = 'It is a folder, or an address with pip install "lollms-server[fsspec]>=2.0,<3" and what that needs.'
        raise ConfigurationError(f"[serve.jobs] results: {exc!s:.300}.", hint=hint) from exc


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull("The disk with the results is full.", hint="Ask again later.") from exc
        raise SaveError(
            f"A result cannot be kept: {exc.strerror or type(exc).__name__}.", hint="Ask again later."
        ) from exc


class Folder:
    """In a folder, which is its owner's alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    def _of(self, job_id: str) -> Path:
        return self._folder / job_id

    def write(self, job_id: str, name: str, source: bytes | Path) -> int:
        path = self._of(job_id) / name
        part = path.with_name(f".{name}.part")
        with _typed():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                    if isinstance(source, Path):
                        with source.open("rb") as before:
                            shutil.copyfileobj(before, file, 1 << 20)
                    else:
                        file.write(source)
                    file.flush()
                    os.fsync(file.fileno())
                    size = file.tell()
                os.replace(part, path)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise
        return size

    def open(self, job_id: str, name: str) -> BinaryIO:
        return (self._of(job_id) / name).open("rb")

    def remove(self, job_id: str, *, but: tuple[str, ...] = ()) -> None:
        if not but:
            shutil.rmtree(self._of(job_id), ignore_errors=True)
            return
        with suppress(OSError):
            for path in self._of(job_id).iterdir():
                if path.name not in but:
                    path.unlink(missing_ok=True)

    def ids(self, older: float) -> list[str]:
        until = time.time() - older
        found = []
        for folder in self._folder.iterdir():
            with suppress(OSError):
                if folder.is_dir() and folder.stat().st_mtime < until:
                    found.append(folder.name)
        return found


class Remote:
    """At an address of fsspec's, such as ``s3://bucket/folder``."""

    def __init__(self, address: str) -> None:
        from fsspec.core import url_to_fs

        self._fs: Any
        self._fs, self._root = url_to_fs(address)
        self._fs.makedirs(self._root, exist_ok=True)

    def _at(self, job_id: str, name: str = "") -> str:
        return "/".join(filter(None, (self._root.rstrip("/"), job_id, name)))

    def write(self, job_id: str, name: str, source: bytes | Path) -> int:
        with _typed():
            self._fs.makedirs(self._at(job_id), exist_ok=True)
            if isinstance(source, Path):
                self._fs.put_file(str(source), self._at(job_id, name))
                return source.stat().st_size
            self._fs.pipe_file(self._at(job_id, name), bytes(source))
            return len(source)

    def open(self, job_id: str, name: str) -> BinaryIO:
        return cast(BinaryIO, self._fs.open(self._at(job_id, name), "rb"))

    def remove(self, job_id: str, *, but: tuple[str, ...] = ()) -> None:
        with suppress(OSError):
            if not but:
                self._fs.rm(self._at(job_id), recursive=True)
                return
            for path in self._fs.ls(self._at(job_id), detail=False):
                if path.rstrip("/").rpartition("/")[2] not in but:
                    self._fs.rm(path)

    def ids(self, older: float) -> list[str]:
        self._fs.invalidate_cache(self._root)
        # Not every place tells when a folder was changed: a job that is being asked for now has a file that is new.
        found = []
        for folder in self._fs.ls(self._root, detail=True):
            if folder["type"] == "directory" and self._age(folder["name"]) > older:
                found.append(folder["name"].rstrip("/").rpartition("/")[2])
        return found

    def _age(self, folder: str) -> float:
        times = []
        for path in self._fs.ls(folder, detail=False):
            with suppress(NotImplementedError, OSError):
                times.append(self._fs.modified(path).timestamp())
        return time.time() - max(times, default=0.0)
