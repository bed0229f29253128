"""Programs as engines: started without a shell, stopped with their call, and gone with all that they started.

``run`` is for one that does its work and ends, ``Running`` for one whose lines are read while it works.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from lollms_modalities.calls import waits
from lollms_modalities.calls.call import current_call
from lollms_modalities.errors import BindingDependencyError, GenerationError

Command = Sequence[str | bytes | os.PathLike[str]]
_BLOCK = 1 << 16
_LINE = 1 << 20  # bytes; a longer line comes in pieces
_LINES, _LONGEST = 8, 500  # lines and characters that an error tells
_PROBE_TIME = 20.0  # seconds for a program to tell its version
_GRACE = 0.5  # seconds for what a program that has ended leaves in its pipes, if others hold them open


class Ended(NamedTuple):
    """What came of a program.

    Attributes:
        code: what it ended with; below zero the signal that ended it.
        stdout: what it wrote.
        last: the last lines of its stderr, in one line.
    """

    code: int
    stdout: bytes
    last: str


def run(
    command: Command,
    *,
    input: bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    limit: int = 1 << 30,
    check: bool = True,
) -> Ended:
    """Run a program to its end. In a call it is stopped with that: cancelled, out of time, closed.

    Args:
        command: the program and its arguments, each for itself: no shell reads them. Put ``--`` or ``-option=`` before
            what a caller gives, which may begin with a dash.
        input: what it reads from its standard input, which is empty otherwise.
        cwd: its current directory.
        env: variables besides those of this process.
        timeout: seconds, besides the time limit of the call.
        limit: bytes of stdout that are too many.
        check: whether another code than 0 is an error.

    Raises:
        BindingDependencyError: there is no such program.
        GenerationError: it cannot be started, ended with another code than 0, wrote too much, or took too long; with
            the end of what it wrote to stderr.
        CallCancelled, CallTimeout: the call was stopped.
    """
    parts: list[bytes] = []
    with Running(command, input=input, cwd=cwd, env=env, timeout=timeout, apart=True) as running:
        size = 0
        for block in running.blocks():
            size += len(block)
            if size > limit:
                raise GenerationError(
                    f"{running.name} wrote more than {limit} bytes.", hint=f"It says: {running.last}."
                )
            parts.append(block)
        running.wait()
    if check and running.code:
        raise running.failure()
    return Ended(running.code, b"".join(parts), running.last)


class Running:
    """A program at work. Iterate over its lines, of stdout and stderr alike, inside a ``with``.

    At the end of the ``with`` it is gone, and what it has started too. Arguments and errors are those of ``run``.

    Attributes:
        name: of the program, for errors.
        code: what it ended with, after its last line; below zero the signal that ended it.
        last: the last lines that were given to ``keep``, in one line.
    """

    def __init__(
        self,
        command: Command,
        *,
        input: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        apart: bool = False,
    ) -> None:
        self.code = 0
        self.name = repr(os.fsdecode(command[0]))
        self._last: deque[str] = deque(maxlen=_LINES)
        self._reaping = threading.Lock()  # a number is free for others once its process has been waited for
        self._late: float | None = None
        self._call = current_call()
        self._call.check()
        try:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in command],
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                bufsize=0,
                cwd=cwd,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,  # a group of its own, to be ended as a whole
            )
        except FileNotFoundError as exc:
            raise BindingDependencyError(f"{self.name} cannot be started: {exc}.", hint="Install the program.") from exc
        except (OSError, ValueError) as exc:
            raise GenerationError(f"{self.name} cannot be started: {exc}.") from exc
        # Where it can be known that the program has ended before it is waited for.
        self._over = os.pipe() if hasattr(os, "waitid") else None
        self._threads = [_thread(self._end_group)] if self._over else []
        if self._process.stdin is not None:
            self._threads.append(_thread(lambda: self._write(input or b"")))
        if self._process.stderr is not None:
            self._threads.append(_thread(self._listen))
        self._clock = threading.Timer(timeout, self._out_of_time, [timeout]) if timeout is not None else None
        if self._clock is not None:
            self._clock.daemon = True
            self._clock.start()
        self._remove = self._call.on_cancel(self._kill)

    def __iter__(self) -> Iterator[str]:
        for line in _lines(self.blocks()):
            self._call.check()
            yield line
        self.wait()

    def blocks(self) -> Iterator[bytes]:
        """What it writes to stdout, as it comes."""
        assert self._process.stdout is not None
        yield from self._read(self._process.stdout)

    def wait(self) -> None:
        """Wait for its end, after its last line; then ``code`` and ``last`` are whole."""
        self._join()
        self.code = self._reap()
        self._call.check()
        if self._late is not None:
            raise GenerationError(f"{self.name} goes on after {self._late:g} s.", hint=f"It says: {self.last}.")

    def keep(self, line: str) -> None:
        """Remember a line for ``last``."""
        if line.strip():
            self._last.append(line.strip()[-_LONGEST:])

    @property
    def last(self) -> str:
        """What it said last, in one line."""
        return " | ".join(tuple(self._last))[-_LONGEST:] or "it said nothing"

    def failure(self) -> GenerationError:
        """An error for its code."""
        ended = f"ended with the code {self.code}"
        if self.code < 0:
            with contextlib.suppress(ValueError):
                ended = f"was ended by the signal {signal.Signals(-self.code).name}"
        return GenerationError(f"{self.name} {ended}.", hint=f"It says: {self.last}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()
        if self._clock is not None:
            self._clock.cancel()
        self._kill()
        self._join()
        self._reap()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what could not be written any more
                    pipe.close()
        if self._over is not None:
            os.close(self._over[0])  # the other end is closed by the thread that has been joined

    def _join(self) -> None:
        for number, thread in enumerate(self._threads):
            # The first ends with the program; the others with its pipes, which somebody else may hold.
            if number == 0 and self._over:
                waits.join(thread)
            else:
                thread.join(2 * _GRACE)

    def _reap(self) -> int:
        if self._over is None:
            self._process.wait()  # not with the lock, which a kill would need
        with self._reaping:
            return self._process.wait()

    def _kill(self) -> None:
        with self._reaping:
            # Not poll(), which would give its number free: another group might have it by the time of the signal.
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.name == "posix":
                        os.killpg(self._process.pid, signal.SIGKILL)
                    else:
                        self._process.kill()

    def _end_group(self) -> None:
        """What it has started and left holds the pipes open, and would be waited for."""
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._kill()
        assert self._over is not None
        os.close(self._over[1])

    def _read(self, pipe: IO[bytes]) -> Iterator[bytes]:
        while self._ready(pipe) and (block := os.read(pipe.fileno(), _BLOCK)):
            yield block

    def _ready(self, pipe: IO[bytes]) -> bool:
        """Wait for something to read, or for the end: of the pipe, or of the program and a moment more."""
        if self._over is None:
            return True
        poll = select.poll()
        poll.register(pipe.fileno(), select.POLLIN | select.POLLHUP)
        poll.register(self._over[0], select.POLLIN | select.POLLHUP)
        while not (ready := [number for number, _ in poll.poll(1000 * waits.ANEW)]):
            pass
        if pipe.fileno() in ready:
            return True
        poll.unregister(self._over[0])
        return bool(poll.poll(1000 * _GRACE))

    def _out_of_time(self, seconds: float) -> None:
        self._late = seconds
        self._kill()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it does not want to read all of it
            self._process.stdin.write(data)
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in _lines(self._read(self._process.stderr)):
            self.keep(line)


def _lines(blocks: Iterator[bytes]) -> Iterator[str]:
    """The lines of what comes in blocks, without their ends; what is no UTF-8 is replaced."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace").rstrip("\r")


def _thread(body: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=body, name="lollms-program", daemon=True)
    thread.start()
    return thread


def find(name: str | os.PathLike[str], hint: str = "Install it, or give the path of it.") -> Path:
    """The program of that name on PATH, or at that path.

    Raises:
        BindingDependencyError: there is none.
    """
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        raise BindingDependencyError(f"There is no program {os.fspath(name)!r} that can be run.", hint=hint)
    return Path(found).absolute()


def version(program: str | os.PathLike[str], option: str = "--version") -> str:
    """The first number with a point that a program tells of itself, such as "1.9.1"; "" where it tells none."""
    try:
        told = run([program, option], timeout=_PROBE_TIME, limit=1 << 20, check=False)
    except GenerationError:
        return ""
    found = re.search(r"\d+(?:\.\d+)+[\w.+-]*", told.stdout.decode("utf-8", "replace") or told.last)
    return found.group() if found else ""
