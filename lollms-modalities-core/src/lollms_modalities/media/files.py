"""Files that are whole or not there: written under a name of their own, and renamed when they are whole.

The name is ``.lollms-<pid>-<random>.part``, and who writes holds a lock on it. A process that was killed leaves such a
file: the next one that writes in the folder takes it away, if nobody holds its lock any more. Where there are no locks
(some network file systems, Windows) nothing is taken away.

A FIFO or a device is written through. A link is replaced in a folder of one's own, never followed to the file it names.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from lollms_modalities.errors import OptionError, SaveError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_PART = re.compile(r"\.lollms-\d+-[0-9a-f]{16}\.part")
_COPIED = 1 << 20  # bytes at a time


def expanded(path: Path) -> Path:
    """``path`` with a home folder in the place of ``~``; ``~rec.wav`` is a name. ``OptionError``: no such user."""
    if len(path.parts) == 1 and str(path) != "~":
        return path
    try:
        return path.expanduser()
    except RuntimeError as exc:
        raise OptionError(f"{str(path)!r} cannot be written: {exc}.", hint="Give its whole path, from / on.") from None


def check_folder(path: Path) -> Path:
    """``path`` if a file can be written there.

    Raises:
        OptionError: a folder, a name that cannot be, a folder that is not there or not ours to write in, or a link in a
            folder that others may write to.
    """
    shown = repr(str(path) if len(str(path)) <= 300 else f"{str(path)[:300]}...")
    if "\0" in str(path):
        raise OptionError(f"{shown} holds a NUL character and is no path.")
    try:
        if not path.is_absolute() and not _stands_somewhere():
            raise OptionError(
                f"{shown} cannot be written: the working directory is gone.", hint="Change to a folder that is there."
            )
        kind = _kind(path)
        if stat.S_ISDIR(kind):
            raise OptionError(f"{shown} is a folder.", hint="Name a file in it.")
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise OptionError(f"{shown} cannot be written: its parent is no folder.", hint="Name a file in a folder.")
        if stat.S_ISSOCK(kind):
            raise OptionError(f"{shown} is a socket.", hint="Name a file.")
        if is_through(path):
            return path
        if path.is_symlink() and not _is_own(path.parent):
            raise OptionError(
                f"{shown} is a link in a folder that others may write to.", hint="Name the file itself, or another one."
            )
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise OptionError(f"{shown} cannot be written: its folder may not be written to.", hint="Choose another.")
    except FileNotFoundError:
        raise OptionError(
            f"{shown} cannot be written: its folder does not exist.", hint="Make the folder first."
        ) from None
    except OSError as exc:
        raise OptionError(f"{shown} cannot be written: {exc.strerror}.", hint="Choose another name.") from None
    except UnicodeEncodeError as exc:
        raise OptionError(f"{shown} is no path ({exc.reason}).", hint="Choose another name.") from None
    return path


def _stands_somewhere() -> bool:
    """Whether the working directory, from which a relative path goes on, has not been removed."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _kind(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return 0


def is_through(path: Path) -> bool:
    """Whether what is written goes to something that is no file: a FIFO, a device, an open descriptor."""
    kind = _kind(path)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        return True
    # /dev/stdout is a link to a regular file where the shell has redirected it to one.
    return path.is_symlink() and os.readlink(path).startswith(("/dev/", "/proc/"))


def _is_own(folder: Path) -> bool:
    found = folder.stat()
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the system says while ``path`` is written, as a ``SaveError``."""
    try:
        yield
    except OSError as exc:
        if isinstance(exc, SaveError):
            raise
        raise SaveError(
            f"{str(path)!r} cannot be written: {exc.strerror or exc}.", hint="Nothing of it is left.", path=str(path)
        ) from exc


class WholeFile:
    """A file under a temporary name, until ``keep`` gives it its own or ``drop`` takes it away.

    Attributes:
        path: where it is to be.
        part: where it is written meanwhile; ``path`` itself where that is a FIFO or a device.
        file: open for writing and reading (for writing only where ``path`` is a FIFO or a device).

    Raises:
        OptionError: as ``check_folder``.
        SaveError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = check_folder(path)
        self.through = is_through(path)
        with explained(path):
            if self.through:
                self.part = path
                self.file = cast(BinaryIO, os.fdopen(_opened_through(path), "wb"))
                return
            _sweep(path.parent)
            self.part, descriptor = _claim(path)
            self.file = cast(BinaryIO, os.fdopen(descriptor, "w+b"))

    def keep(self) -> None:
        """The file is whole: give it its name. On failure it is gone. Again does nothing."""
        if self.file.closed:
            return
        try:
            with explained(self.path):
                self.file.flush()
                if not self.through:
                    os.replace(self.part, self.path)
                self.file.close()
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Take the file away. Again, or after ``keep``, does nothing."""
        with suppress(OSError):
            self.file.close()
        if not self.through:
            with suppress(OSError):
                os.unlink(self.part)


def _opened_through(path: Path) -> int:
    from lollms_modalities.calls.call import current_call

    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as exc:
            if not stat.S_ISFIFO(_kind(path)) or exc.errno != errno.ENXIO:
                raise
            current_call().check()  # nobody reads it yet
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return descriptor


def _claim(path: Path) -> tuple[Path, int]:
    """A new file beside ``path``, open and locked, with the rights of the one that it is to replace."""
    try:
        old = path.stat()
    except OSError:
        old = None
    while True:
        part = _part_name(path.parent)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if old is None else 0o600)
        if not _lock(descriptor):
            os.close(descriptor)
            continue
        if old is not None:
            _take_rights(descriptor, old)
        return part, descriptor


def _take_rights(descriptor: int, old: os.stat_result) -> None:
    """Whose the old file was and who might read it, as far as we may say so; nobody is let in who was not."""
    rights, new = stat.S_IMODE(old.st_mode) & 0o777, os.fstat(descriptor)
    with suppress(OSError, AttributeError):  # a system, or a file system, without rights
        if new.st_uid != old.st_uid:
            with suppress(OSError):  # root alone may give away what is its
                os.fchown(descriptor, old.st_uid, -1)
        if new.st_gid != old.st_gid:
            try:
                os.fchown(descriptor, -1, old.st_gid)
            except OSError:  # another group's: it may do what everybody may
                rights = rights & 0o707 | (rights & 0o007) << 3
        os.fchmod(descriptor, rights)


def _part_name(folder: Path) -> Path:
    return folder / f".lollms-{os.getpid()}-{secrets.token_hex(8)}.part"


def _lock(descriptor: int) -> bool:
    """Lock what was just made; whether it is still there, since a sweep may have taken it before."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here, and so no sweeps
        return True
    return os.fstat(descriptor).st_nlink > 0


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, which becomes ``path`` when the block ends well and is removed when not.

    A file of that name is there already, empty. Where ``path`` is a FIFO or a device, its own name is given.
    """
    if is_through(check_folder(path)):
        yield path
        return
    whole = WholeFile(path)
    try:
        yield whole.part
        whole.keep()
    except BaseException:
        whole.drop()
        raise


def write_whole(path: Path, data: bytes | BinaryIO) -> Path:
    """Write ``data``, or what is left of a file, so that ``path`` holds all of it or is not touched."""
    whole = WholeFile(path)
    try:
        with explained(path):
            if not isinstance(data, bytes):
                shutil.copyfileobj(data, whole.file, _COPIED)
            elif whole.through:
                whole.file.write(data)
            else:
                whole.part.write_bytes(data)
        whole.keep()
    except BaseException:
        whole.drop()
        raise
    return path


def part_name(path: Path) -> Path:
    """A free name for a folder beside ``path``; among the temporary files where ``path`` is a FIFO or a device."""
    return _part_name(Path(tempfile.gettempdir()) if is_through(path) else path.parent)


@contextmanager
def part_folder(folder: Path) -> Iterator[None]:
    """Make the folder that ``part_name`` named, for another process to write in; it is gone after the block."""
    while True:
        with explained(folder):
            os.mkdir(folder)
            descriptor = os.open(folder, os.O_RDONLY)
        if _lock(descriptor):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def move_whole(source: Path, path: Path) -> None:
    """Make ``source``, a file in the same file system that is whole, the file ``path``."""
    check_folder(path)
    if is_through(path):
        with source.open("rb") as file:
            write_whole(path, file)
        return
    with explained(path):
        if path.exists():
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _take_rights(descriptor, path.stat())
            finally:
                os.close(descriptor)
        os.replace(source, path)


# --- what killed processes left -------------------------------------------------------------------------------------

_next_sweep: dict[Path, float] = {}


def _sweep(folder: Path) -> None:
    """Take away the parts of processes that are gone. In large folders seldom: a hundredth of the time at most."""
    began = time.monotonic()
    if fcntl is None or began < _next_sweep.get(folder, 0.0):
        return
    with suppress(OSError):
        for name in os.listdir(folder):
            if _PART.fullmatch(name):
                _take_away(folder / name)
    if len(_next_sweep) > 1000:
        _next_sweep.clear()
    ended = time.monotonic()
    _next_sweep[folder] = ended + 100 * (ended - began)


def _take_away(part: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who writes it is alive, if this fails
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                shutil.rmtree(part, ignore_errors=True)
            else:
                os.unlink(part)
        finally:
            os.close(descriptor)
