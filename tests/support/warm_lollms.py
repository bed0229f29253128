"""``lollms`` in a child of a process that has imported already: most of what a short command takes is importing.

A ``WarmCommand`` is that process. What it forks for a command has the command's words, folder, variables and streams, and
ends as any interpreter does. Signals, terminals, and what Python reads of its variables at its start need the real one.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

# Without what reads variables as it is imported, such as huggingface_hub, or starts threads, such as onnxruntime.
_IMPORTED = (
    *("numpy", "pydantic", "av", "soxr", "soundfile", "ctranslate2", "tokenizers", "typer", "packaging.requirements"),
    *("lollms_modalities", "lollms_modalities.kit", "lollms_modalities.media", "lollms_client.cli.app"),
    *("lollms_client.cli.use", "lollms_client.cli.making", "lollms_client.cli.transcribing", "lollms_piper.binding"),
)
_LONGEST = 100_000  # bytes of a message; a socket takes no more than twice that


class WarmCommand:
    """Runs commands, one at a time; ends with the process that made it."""

    def __init__(self, env: dict[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = [sys.executable, str(Path(__file__)), str(theirs.fileno())]
        self._process = subprocess.Popen(
            program, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
        )
        theirs.close()
        self._lock = threading.Lock()

    @staticmethod
    def runs(words: list[str], env: dict[str, str]) -> bool:
        """Whether a command with these variables is one of those that this can run."""
        decided_at_start = ("PYTHON", "LC_", "LANG", "OMP_", "LD_")
        return not any(name.startswith(decided_at_start) for name in env) and len(json.dumps(words)) < _LONGEST // 2

    def run(
        self, words: list[str], stdin: bytes, cwd: Path, env: dict[str, str], limit: float
    ) -> subprocess.CompletedProcess[bytes]:
        """As ``subprocess.run`` with its output captured."""
        message = json.dumps([words, str(cwd), env]).encode()
        assert len(message) < _LONGEST
        given, told, said = os.pipe(), os.pipe(), os.pipe()
        with self._lock:
            socket.send_fds(self._ours, [message], [given[0], told[1], said[1]])
            for ours in (given[0], told[1], said[1]):
                os.close(ours)
            child = int(self._ours.recv(100))
            threads = [threading.Thread(target=_write, args=(given[1], stdin), daemon=True)]
            out: dict[int, bytes] = {}
            threads += [threading.Thread(target=_read, args=(end, out), daemon=True) for end in (told[0], said[0])]
            for thread in threads:
                thread.start()
            self._ours.settimeout(limit)
            try:
                code = int(self._ours.recv(100))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                self._ours.settimeout(None)
                self._ours.recv(100)
                raise subprocess.TimeoutExpired(words, limit) from None
            for thread in threads[1:]:  # what it has started may hold the other ends
                thread.join(limit)
        return subprocess.CompletedProcess(words, code, out.get(told[0], b""), out.get(said[0], b""))


def _write(end: int, data: bytes) -> None:
    with open(end, "wb") as file:
        try:
            file.write(data)
            file.flush()
        except BrokenPipeError:
            pass


def _read(end: int, out: dict[int, bytes]) -> None:
    with open(end, "rb") as file:
        out[end] = file.read()


def _serve(connection: socket.socket) -> bool:
    """Fork for each command; True in the child, which is to run it."""
    while True:
        message, ends, _, _ = socket.recv_fds(connection, _LONGEST, 3)
        if not message:
            return False
        child = os.fork()
        if child == 0:
            connection.close()
            _become(json.loads(message), ends)
            return True
        for end in ends:
            os.close(end)
        connection.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(message: Any, ends: list[int]) -> None:
    words, folder, env = message
    for number, end in enumerate(ends):
        os.dup2(end, number)
        os.close(end)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["lollms", *words]
    sys.stdin = sys.__stdin__ = _text(0, "r")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _text(1, "w")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(2, "w", line_buffering=True, errors="backslashreplace")  # type: ignore[misc]


def _text(number: int, mode: str, **more: Any) -> io.TextIOWrapper:
    binary = open(number, mode + "b", closefd=False)  # noqa: SIM115 - it is the process's own
    return io.TextIOWrapper(binary, **{"encoding": "utf-8", "errors": "strict", **more})


def _main() -> int:
    import importlib

    for name in _IMPORTED:
        importlib.import_module(name)
    tasks = len(os.listdir("/proc/self/task"))
    assert tasks == 1, f"{tasks} threads, of which a child would have one"
    if not _serve(socket.socket(fileno=int(sys.argv[1]))):
        return 0
    from lollms_client.__main__ import main

    return main()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which a command does not have
    sys.exit(_main())
