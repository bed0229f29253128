"""Processes that are forks of one program, which has imported what they need: ``server_program``."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil


class Forked:
    """One of them, with what tests use of ``subprocess.Popen``.

    Attributes:
        pid: its number.
        stdin: closing it ends the process gracefully.
    """

    def __init__(self, pid: int, stdin: int, stdout: int) -> None:
        self.pid = pid
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self._stdout = os.fdopen(stdout)
        self._process = psutil.Process(pid)

    def said(self) -> str:
        """Its first line; empty where it has ended."""
        return self._stdout.readline()

    def poll(self) -> bool | None:
        """None while it runs."""
        return None if self._process.is_running() else True

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        with suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)

    def end(self) -> None:
        """End it gracefully, or after half a minute not so."""
        self.stdin.close()
        try:
            self.wait(30)
        finally:
            self.send_signal(signal.SIGKILL)
            self.wait()
            self._stdout.close()


class _Program:
    """The program that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking, theirs = socket.socketpair()
        program = str(Path(__file__).with_name("server_program.py"))
        with theirs:
            self._process = subprocess.Popen([sys.executable, program], stdin=theirs)
        atexit.register(self._end)

    def fork(self, wanted: Mapping[str, Any], descriptors: list[int]) -> int:
        with self._lock:
            socket.send_fds(self._asking, [json.dumps(wanted).encode()], descriptors)
            told = self._asking.recv(8)
        assert told, "the program that forks has ended"
        return int.from_bytes(told, "little")

    def _end(self) -> None:
        self._asking.close()
        self._process.wait()


_program = cache(_Program)


@contextmanager
def fork(wanted: Mapping[str, Any], log: Path) -> Iterator[Forked]:
    """A server, which is ended with the block.

    Args:
        wanted: what ``server_program`` is to know.
        log: the file of its errors.
    """
    theirs, stdin = os.pipe()
    stdout, its = os.pipe()
    with log.open("ab") as errors:
        pid = _program().fork(wanted, [theirs, its, errors.fileno()])
    os.close(theirs)
    os.close(its)
    process = Forked(pid, stdin, stdout)
    try:
        yield process
    finally:
        process.end()
