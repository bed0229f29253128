"""The process of a worker: how it is started, what it prints, why it ended."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lollms_modalities.errors import UnsupportedError

_TAIL = 60  # lines of what a worker printed that an error shows; a crash prints the stack of every thread
_DRAIN = 0.03  # seconds to wait for a dead worker's last lines
_NOT_PASSED = ("VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")
_ending = False
_all: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class WorkerProcess:
    """One worker's process, with its socket.

    Args:
        python: the interpreter.
        log: gets what the process prints, line by line.
        variables: environment variables besides the host's.
        own: whether the interpreter is the one that runs here, which then sees what ``PYTHONPATH`` says.
        lock: a file on which it holds a shared lock while it lives, or None.

    Attributes:
        sock: our end of the connection.
        pid: of the process, which leads a process group of its own.
    """

    def __init__(
        self, python: Path, log: logging.Logger, variables: Mapping[str, str], *, own: bool, lock: Path | None = None
    ) -> None:  # fmt: skip
        if os.name != "posix":
            raise UnsupportedError(f"Isolated bindings need Linux or macOS; this is {sys.platform}.")
        held = [] if lock is None else [_shared_lock(lock)]
        self.sock, theirs = socket.socketpair()
        output, printed = os.pipe()
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
            "lollms_modalities.isolation.worker",
        ]
        try:
            self._popen = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, pass_fds=[theirs.fileno(), *held],
                env={**(os.environ if own else clean_variables()), **variables}, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            self.sock.close()
            os.close(output)
            raise
        finally:
            theirs.close()
            for descriptor in (printed, *held):
                os.close(descriptor)
        self.pid = self._popen.pid
        self.killed_because = ""
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self._ended = threading.Event()
        _watch(f"+{self.pid}\n")
        _all.add(self)
        self._reader = threading.Thread(target=self._read, args=(output, log), name="lollms-output", daemon=True)
        self._reader.start()

    def reap(self, ended: Callable[[], object]) -> None:
        """Wait for the end, in a thread, then call ``ended``."""
        threading.Thread(target=self._reap, args=(ended,), name="lollms-reaper", daemon=True).start()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it and all that it started, and wait for that for at most ``wait`` seconds."""
        self.killed_because = self.killed_because or because
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._ended.wait(wait)

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for the end and for the last that it printed."""
        if self._ended.wait(timeout):
            self._reader.join(timeout)

    def cause(self) -> str:
        """Why it ended."""
        if not self._ended.wait(1.0):
            return "it closed its connection"
        if self.killed_because:
            return self.killed_because
        code = self._popen.returncode
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
        """As ``subprocess`` has it: negative for a signal; None while it runs."""
        return self._popen.returncode if self._ended.is_set() else None

    def last_lines(self) -> list[str]:
        """The last lines that it printed."""
        if self._ended.is_set():
            self._reader.join(_DRAIN)
        return list(self._lines)

    def forget(self) -> None:
        """In a forked child: the process is not ours."""
        self._popen.returncode = 0  # else Popen would complain that it still runs
        self._ended = threading.Event()
        self._ended.set()

    def _read(self, output: int, log: logging.Logger) -> None:
        with open(output, "rb", buffering=1 << 13) as file:
            for line in file:
                text = line.decode("utf-8", "replace").rstrip()
                self._lines.append(text)
                log.info("%s", text)

    def _reap(self, ended: Callable[[], object]) -> None:
        if hasattr(os, "waitid"):
            # Not yet reaped, its number can't be another group's: what it started and left is ended with it.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._ended.set()
        _watch(f"-{self.pid}\n")
        ended()


def _shared_lock(path: Path) -> int:
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def clean_variables() -> dict[str, str]:
    """This program's environment variables, without those that would make another Python look at this one's files."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in _NOT_PASSED}


# --- the watcher ----------------------------------------------------------------------------------------------------

_watcher: subprocess.Popen[bytes] | None = None
_to_watcher = -1  # the pipe that only this process can write to
_watching = threading.Lock()


def _watch(line: str) -> None:
    """Tell the watcher, one for this process, which is started when it is first told something."""
    global _watcher, _to_watcher
    with _watching:
        if _ending:
            return  # nobody is told any more; whatever runs is being killed
        if _watcher is None or _watcher.poll() is not None:
            program = str(Path(__file__).with_name("_watcher.py"))
            if _to_watcher >= 0:
                os.close(_to_watcher)
            read, _to_watcher = os.pipe()
            _watcher = subprocess.Popen(
                [sys.executable, "-I", "-S", program, str(os.getpid())],
                stdin=read, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            os.close(read)
            line = "".join(f"+{p.pid}\n" for p in _all if not p._ended.is_set()) + line
        with contextlib.suppress(BrokenPipeError):
            os.write(_to_watcher, line.encode())


@contextlib.contextmanager
def guarded(process: subprocess.Popen[str]) -> Iterator[None]:
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
    global _ending, _to_watcher
    _ending = True
    for process in list(_all):
        process.kill("the program is ending", 0.0)
    for process in list(_all):
        process.wait(2.0)
    with _watching:
        if _watcher is not None and _to_watcher >= 0:
            os.close(_to_watcher)
            _to_watcher = -1
    if _watcher is not None:
        _watcher.wait()


def _after_fork() -> None:
    global _watcher, _to_watcher, _watching
    _watching = threading.Lock()
    if _watcher is not None:
        if _to_watcher >= 0:
            os.close(_to_watcher)
        _watcher.returncode = 0
        _watcher, _to_watcher = None, -1
    for process in list(_all):
        process.forget()
    _all.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
