"""Where environments lie, and who may touch which.

An environment that we make lies in a folder ``.env-XXXXXXXX`` of its own, and its name is a link to what is in there.
So it appears, is replaced and vanishes at once, in its final place. Whoever makes or uses one holds a lock on the file
``lock`` in its folder. A folder that no name leads to and that nobody holds is swept up.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lollms_modalities.environments.environment import LOCK, PREFIX, environments_folder
from lollms_modalities.errors import EnvironmentBuildError

VENV = "venv"
_OURS = re.compile(re.escape(PREFIX) + "[0-9a-f]{8}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAKER = "maker"  # name of the environment and number of the process that makes it


class Room:
    """A new folder in which an environment is made.

    Attributes:
        folder: of its own.
        venv: where the environment goes.
        work: for what is needed meanwhile.
        name: of the environment, once it is reserved.
    """

    def __init__(self) -> None:
        store = environments_folder()
        store.mkdir(parents=True, exist_ok=True)
        with _alone(store):
            self.folder = store / f"{PREFIX}{secrets.token_hex(4)}"
            self.folder.mkdir()
            self._lock = (self.folder / LOCK).open("w")
            _take(self._lock)
        self.venv = self.folder / VENV
        self.work = self.folder / "work"
        self.work.mkdir()
        self.name = ""

    def reserve(self, name: str, *, replace: bool) -> None:
        """Take a name, so that nobody else makes an environment of that name meanwhile.

        Raises:
            EnvironmentBuildError: it is no name, is there already, or somebody makes it right now.
        """
        check_name(name)
        store = self.folder.parent
        with _alone(store):
            _check_nobody_makes(store, name, "made")
            there = (store / name / "pyvenv.cfg").is_file() or (store / name).is_dir()
            if there and not replace:
                raise EnvironmentBuildError(
                    f"There is an environment {name!r} already.",
                    hint=f"Use it, run lollms env update {name}, or give the new one another --name.",
                    reason="exists",
                )
            (self.folder / _MAKER).write_text(f"{name}\n{os.getpid()}")
            self.name = name

    def commit(self) -> None:
        """Let the name lead here."""
        shutil.rmtree(self.work)
        store = self.folder.parent
        link = self.folder / "link"
        os.symlink(os.path.join(self.folder.name, VENV), link)
        with _alone(store):
            (self.folder / _MAKER).unlink()
            os.replace(link, store / self.name)
        self._lock.close()

    def discard(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def remove(name: str) -> None:
    """Let a name lead nowhere any more.

    Raises:
        EnvironmentBuildError: somebody makes it right now.
    """
    store = environments_folder()
    with _alone(store):
        _check_nobody_makes(store, name, "made anew")
        there = store / name
        if there.is_symlink():
            there.unlink()
        else:
            there.rename(store / f"{PREFIX}{secrets.token_hex(4)}")
    sweep()


def abandoned() -> list[Path]:
    """The folders that no name leads to and nobody holds; what is in them may be looked at, not relied on."""
    store = environments_folder()
    with _alone(store):
        return [folder for folder in _unnamed(store) if not _is_held(folder)]


def sweep() -> None:
    """Remove what killed processes left, and replaced or removed environments that nobody uses any more."""
    store = environments_folder()
    if not store.is_dir():
        return
    with contextlib.ExitStack() as held:
        with _alone(store):
            folders = []
            for folder in _unnamed(store):
                lock = _try_lock(folder)
                if lock is not None:
                    held.enter_context(lock)
                    folders.append(folder)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def check_name(name: str) -> None:
    """Raise ``EnvironmentBuildError`` unless it can be the name of an environment."""
    if not _NAME.fullmatch(name):
        raise EnvironmentBuildError(
            f"{name!r} cannot be the name of an environment.",
            hint="Take letters, digits, '-', '_' and '.', a letter or digit first.",
            reason="exists",
        )


@contextlib.contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Nobody else is in here; for what takes no time."""
    with (store / ".lock").open("w") as lock:
        _take(lock)
        yield


def _take(lock: IO[str], *, wait: bool = True) -> None:
    """Lock a file until it is closed, or its process ends."""
    import fcntl  # where there is none, nothing gets so far

    fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _unnamed(store: Path) -> list[Path]:
    folders = [store / entry.name for entry in os.scandir(store) if _OURS.fullmatch(entry.name)]
    links = [Path(entry.path) for entry in os.scandir(store) if entry.is_symlink()]
    named = {os.path.dirname(os.path.realpath(link)) for link in links}
    return [folder for folder in folders if os.path.realpath(folder) not in named]


def _try_lock(folder: Path) -> IO[str] | None:
    try:
        lock = (folder / LOCK).open("a")
    except FileNotFoundError:  # one that is removed already
        return (folder.parent / ".lock").open()
    try:
        _take(lock, wait=False)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _is_held(folder: Path) -> bool:
    lock = _try_lock(folder)
    if lock is None:
        return True
    lock.close()
    return False


def _check_nobody_makes(store: Path, name: str, what: str) -> None:
    if maker := _maker_of(store, name):
        raise EnvironmentBuildError(
            f"The environment {name!r} is being {what} by process {maker}.",
            hint="Wait until that has ended, or end it.",
            reason="busy",
        )


def _maker_of(store: Path, name: str) -> str:
    """The number of the process that makes an environment of that name."""
    for folder in _unnamed(store):
        try:
            made, pid = (folder / _MAKER).read_text().split("\n")
        except (FileNotFoundError, ValueError):
            continue
        if made == name and _is_held(folder):
            return pid
    return ""
