"""The process of a worker: how it is started, what it prints, why it ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lollms_modalities.errors import UnsupportedError
from lollms_modalities.workers.descriptors import Known
from lollms_modalities.workers.memory import memory_with_programs
from lollms_modalities.workers.output import Output, above_two

_DRAIN = 0.03  # seconds to wait for a dead worker's last lines
_ending = False
_all: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class WorkerProcess:
    """One worker's process, with its socket.

    Args:
        python: the interpreter.
        output: gets what the process prints.
        variables: its environment variables.
        own: whether the interpreter is the one that runs here, which then sees what ``PYTHONPATH`` says.
        lock: a file on which it holds a shared lock while it lives, or None.

    Attributes:
        sock: our end of the connection.
        pid: of the process, which leads a process group of its own.
    """

    program = "lollms_modalities.workers.worker"  # the module that is run

    def __init__(
        self, python: Path, output: Output, variables: Mapping[str, str], *, own: bool, lock: Path | None = None
    ) -> None:
        held = [] if lock is None else [_shared_lock(lock)]
        # -P: not the folder it starts in. -I: nor anything else of the host's Python.
        alone = ["-P"] if own else ["-I"]
        command = [
            str(python),
            *alone,
            "-u",
            "-X",
            "utf8",
            "-X",
            "faulthandler",
            "-m",
            self.program,
        ]

        def start(theirs: socket.socket, printed: int) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, pass_fds=[theirs.fileno(), *held],
                env=dict(variables), start_new_session=True,
            )  # fmt: skip

        try:
            self._begin(output, start)
        finally:
            for descriptor in held:
                os.close(descriptor)

    def _begin(self, output: Output, start: Callable[[socket.socket, int], subprocess.Popen[bytes]]) -> None:
        """Start what leads a process group of its own, given its end of the connection and what it is to print to."""
        if os.name != "posix":
            raise UnsupportedError(f"Isolated bindings need Linux or macOS; this is {sys.platform}.")
        self.sock, theirs = map(_socket_above, socket.socketpair())
        printed_here, printed = map(above_two, os.pipe())
        try:
            self._popen = start(theirs, printed)
        except BaseException:
            self.sock.close()
            os.close(printed_here)
            raise
        finally:
            theirs.close()
            os.close(printed)
        self.pid = self._popen.pid
        self.killed_because = ""
        self._cut = False  # whether it went on when its connection had ended
        self._output = output
        self._ended = threading.Event()
        self._known = True  # how it ended
        self._reaper: threading.Thread | None = None
        try:
            _watch(f"+{self.pid}\n")
            _all.add(self)
            self._reader = threading.Thread(target=self._read, args=(printed_here,), name="lollms-output", daemon=True)
            self._reader.start()
        except BaseException:  # Ctrl-C: nobody knows of it yet
            _all.discard(self)
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            _watch(f"-{self.pid}\n")
            raise

    def reap(self, ended: Callable[[], object]) -> None:
        """Wait for the end, in a thread, then call ``ended``."""
        self._reaper = threading.Thread(target=self._reap, args=(ended,), name="lollms-reaper", daemon=True)
        self._reaper.start()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it and all that it started, and wait for that for at most ``wait`` seconds.

        With 0 it takes no lock, so that the garbage collector may ask for it, in the middle of whatever it interrupts.
        """
        if self._ended.is_set():
            return  # by itself
        self.killed_because = self.killed_because or because
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if wait:
            self._ended.wait(wait)

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for each: its end, the last that it printed, the end of what watches it."""
        if self._ended.wait(timeout):
            self._reader.join(timeout)
            if self._reaper is not None:
                self._reaper.join(timeout)

    def cause(self) -> str:
        """Why it ended."""
        if not self._cut and not self._ended.wait(1.0):
            self._cut = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # it can be asked for nothing any more
        if self._cut:
            return "the connection to it was closed"
        if self.killed_because:
            return self.killed_because
        code = self._popen.returncode
        if not self._known:
            return "it ended, and how is not known, since this program ignores SIGCHLD or waits for every child itself"
        if code >= 0:
            return f"it ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        guess = "; the system may have been out of memory" if -code == signal.SIGKILL else ""
        return f"it was ended by {name}{guess}"

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` has it: negative for a signal; None while it runs, and where it is not known."""
        return self._popen.returncode if self._ended.is_set() and self._known else None

    def memory(self) -> int:
        """Bytes in memory of it and of the programs that it runs; 0 where that cannot be told (it needs Linux)."""
        return memory_with_programs(self.pid)

    def last_lines(self) -> list[str]:
        """The last lines that it printed."""
        if self._ended.is_set():
            self._reader.join(_DRAIN)
        return self._output.last_lines()

    def forget(self) -> None:
        """In a forked child: the process is not ours."""
        self._popen.returncode = 0  # else Popen would complain that it still runs
        self.killed_because = "it belongs to the process that this one was forked from"
        self._ended = threading.Event()
        self._ended.set()

    def _read(self, printed: int) -> None:
        known = Known(printed)
        while known.ours and (data := os.read(printed, 1 << 16)):
            self._output.feed(data)
        known.close()
        self._output.feed(b"", final=True)

    def _reap(self, ended: Callable[[], object]) -> None:
        if hasattr(os, "waitid"):
            # Not yet reaped, its number can't be another group's: what it started and left is ended with it.
            try:
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                self._known = False
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._ended.set()
        ended()
        _watch(f"-{self.pid}\n")


def _socket_above(sock: socket.socket) -> socket.socket:
    above = sock if sock.fileno() > 2 else socket.socket(fileno=above_two(sock.detach()))
    # Whatever ``socket.setdefaulttimeout`` says: with a time limit it does not block, in the worker neither.
    above.settimeout(None)
    return above


def _shared_lock(path: Path) -> int:
    import fcntl

    descriptor = above_two(os.open(path, os.O_RDONLY))
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


_watcher: subprocess.Popen[bytes] | None = None
_to_watcher: Known | None = None  # the pipe that only this process can write to
_watched: set[str] = set()  # the numbers that it has been told
_watching = threading.Lock()


def _watch(line: str) -> None:
    """Tell the watcher, one for this process, which is there while there is something to watch."""
    global _watcher, _to_watcher
    sign, number = line[0], line[1:-1]
    done: subprocess.Popen[bytes] | None = None
    with _watching:
        if _ending:
            return  # nobody is told any more; whatever runs is being killed
        (_watched.add if sign == "+" else _watched.discard)(number)
        if _to_watcher is not None and not _to_watcher.ours:
            if _watcher is not None:  # which ends now
                threading.Thread(target=_watcher.wait, name="lollms-reaper", daemon=True).start()
            _watcher, _to_watcher = None, None
        if not _watched:
            done, _watcher = _watcher, None
            _close_pipe()
        elif _watcher is None or _watcher.poll() is not None:
            program = str(Path(__file__).with_name("watcher.py"))
            _close_pipe()
            read, write = map(above_two, os.pipe())
            _to_watcher = Known(write)
            _watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", program, str(os.getpid())],
                stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            os.close(read)
            line = "".join(f"+{watched}\n" for watched in _watched)
        if _to_watcher is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(_to_watcher.number, line.encode())
    if done is not None:
        done.wait()


def _close_pipe() -> None:
    global _to_watcher
    if _to_watcher is not None:
        _to_watcher.close()
    _to_watcher = None


@contextlib.contextmanager
def guarded(process: subprocess.Popen[Any]) -> Iterator[None]:
    """For a process that leads a group of its own: that ends when the block does, or when this program ends."""
    _watch(f"+{process.pid}\n")
    try:
        yield
    finally:
        if process.returncode is None:  # else its number may be another group's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _watch(f"-{process.pid}\n")


def hold_if_ending() -> None:
    """Keep a daemon thread, whose worker was ended because the program is, from complaining about that."""
    if _ending:
        threading.Event().wait()


def _at_exit() -> None:
    global _ending
    _ending = True
    for process in list(_all):
        process.kill("the program is ending", 0.0)
    for process in list(_all):
        process.wait(2.0)
    with _watching:
        _close_pipe()
    if _watcher is not None:
        _watcher.wait()


def _after_fork() -> None:
    global _watcher, _watching
    _watching = threading.Lock()
    _watched.clear()
    if _watcher is not None:
        _close_pipe()
        _watcher.returncode = 0
        _watcher = None
    for process in list(_all):
        process.forget()
    _all.clear()


atexit.register(_at_exit)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
