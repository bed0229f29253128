"""A program under way: its lines as they come, and its end as soon as the call is to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lollms_modalities import GenerationError, current_call

_KEPT = 8  # lines for an error
_LONGEST = 500  # characters of these


class Running:
    """A program, started without a shell. Iterate over its lines, of stdout and stderr alike, inside a ``with``.

    Attributes:
        code: what it ended with, after its last line; below zero the signal that ended it.
        last: the last lines that were given to ``keep``, for an error.

    Raises:
        GenerationError: it cannot be started.
        CallCancelled, CallTimeout: the call was stopped; the program has been killed.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        self.code = 0
        self._last: deque[str] = deque(maxlen=_KEPT)
        self._call = current_call()
        self._call.check()
        try:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,  # one pipe needs no threads, and what a line is can be told from the line
                # Waiting threads that spin take the processor from everybody else.
                env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                start_new_session=True,  # a group of its own, to be ended as a whole
            )
        except (OSError, ValueError) as exc:
            raise GenerationError(f"{os.fspath(command[0])!r} cannot be started: {exc}.") from exc
        self._remove = self._call.on_cancel(self._kill)

    def __iter__(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._call.check()
            yield line.decode("utf-8", "replace").rstrip("\r\n")
        self.code = self._process.wait()
        self._call.check()

    def keep(self, line: str) -> None:
        """Remember a line for ``last``."""
        if line.strip():
            self._last.append(line.strip())

    @property
    def last(self) -> str:
        """What it said last, in one line."""
        return " | ".join(self._last)[-_LONGEST:] or "it said nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()
        self._kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _kill(self) -> None:
        # Not poll(), which would give its number free: another group might have it by the time of the signal.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
