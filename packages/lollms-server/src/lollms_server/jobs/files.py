"""Where uploads and results lie: in a folder, or at any address of fsspec's. A file is there whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

from lollms_modalities import ConfigurationError, SaveError

from lollms_server.jobs.errors import StoreFull, StoreLost

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


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
            StoreLost: the place does not answer.
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
        return Remote(str(address)) if "://" in str(address) else Folder(Path(os.path.expanduser(address)))
    except Exception as exc:  # a place has errors of its own
        hint = 'It is a folder, or an address with pip install "lollms-server[fsspec]>=2.0,<3" and what that needs.'
        raise ConfigurationError(f"[serve.jobs] results: {exc!s:.300}.", hint=hint) from exc


def _is_full(exc: BaseException) -> bool:
    return isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _why(exc: Exception) -> str:
    """Without the address, in which a secret may stand."""
    return (exc.strerror if isinstance(exc, OSError) else None) or type(exc).__name__


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # a place has errors of its own
        if _is_full(exc):
            raise StoreFull("The disk with the results is full.", hint="Ask again later.") from exc
        raise SaveError(f"A result cannot be kept: {_why(exc)}.", hint="Ask again later.") from exc


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as exc:
        raise StoreLost(
            f"The place of the results does not answer: {_why(exc)}.", hint="Ask again later.", retry_after=10.0
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
        with _writing():
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
    """At an address of fsspec's, such as ``s3://bucket/folder``.

    A connection that is lost is made again, once for each thing that is asked for; what fails then is typed, whatever
    the place raises. A file's name is told to nobody before all of it is written.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._fs, self._root = self._connected()
        self._fs.makedirs(self._root, exist_ok=True)

    def _connected(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        fs, root = url_to_fs(self._address, skip_instance_cache=True)
        return fs, str(root)

    def _asked(self, fn: Callable[[Any], _T]) -> _T:
        try:
            return fn(self._fs)
        except Exception as exc:
            if isinstance(exc, FileNotFoundError) or _is_full(exc):
                raise
        self._fs, _ = self._connected()
        return fn(self._fs)

    def _at(self, job_id: str, name: str = "") -> str:
        return "/".join(filter(None, (self._root.rstrip("/"), job_id, name)))

    def write(self, job_id: str, name: str, source: bytes | Path) -> int:
        path = self._at(job_id, name)
        size = source.stat().st_size if isinstance(source, Path) else len(source)

        def put(fs: Any) -> None:
            fs.makedirs(self._at(job_id), exist_ok=True)
            if isinstance(source, Path):
                fs.put_file(str(source), path)
            else:
                fs.pipe_file(path, bytes(source))
            fs.invalidate_cache(self._at(job_id))
            if (there := fs.size(path)) != size:
                raise OSError(errno.EIO, f"{there} of {size} bytes are there")

        with _writing():
            try:
                self._asked(put)
            except BaseException:
                with suppress(Exception):  # which is told, and not that half of it cannot be removed either
                    self._fs.rm_file(path)
                raise
        return size

    def open(self, job_id: str, name: str) -> BinaryIO:
        with _reading():
            return cast(BinaryIO, self._asked(lambda fs: fs.open(self._at(job_id, name), "rb")))

    def remove(self, job_id: str, *, but: tuple[str, ...] = ()) -> None:
        def drop(fs: Any) -> None:
            if not but:
                fs.rm(self._at(job_id), recursive=True)
                return
            fs.invalidate_cache(self._at(job_id))
            for path in fs.ls(self._at(job_id), detail=False):
                if path.rstrip("/").rpartition("/")[2] not in but:
                    fs.rm(path)

        try:
            self._asked(drop)
        except FileNotFoundError:
            pass
        except Exception as exc:  # they are looked for again: ``ids``
            _log.warning("The files of job %s cannot be removed: %s", job_id, type(exc).__name__)

    def ids(self, older: float) -> list[str]:
        with _reading():
            return self._asked(lambda fs: self._ids(fs, older))

    def _ids(self, fs: Any, older: float) -> list[str]:
        fs.invalidate_cache(self._root)
        # Not every place tells when a folder was changed: a job that is being asked for now has a file that is new.
        found = []
        for folder in fs.ls(self._root, detail=True):
            if folder["type"] == "directory" and _age(fs, folder["name"]) > older:
                found.append(folder["name"].rstrip("/").rpartition("/")[2])
        return found


def _age(fs: Any, folder: str) -> float:
    times = []
    for path in fs.ls(folder, detail=False):
        with suppress(NotImplementedError, OSError):
            times.append(fs.modified(path).timestamp())
    return time.time() - max(times, default=0.0)
