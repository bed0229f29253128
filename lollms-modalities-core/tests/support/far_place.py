"""A place that is as far as one machine allows: the real worker, in another folder, without the host's environment
variables, connected by TCP, to which every file of the host's is missing."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from lollms_modalities import Spec

# Opening, listing or making anything in the folder ``hidden`` fails as it would on a machine that has no such folder.
HIDE = """
import os, sys

def refuse(event, args):
    if event in ("open", "os.listdir", "os.mkdir", "os.rename", "os.remove") and isinstance(args[0], (str, bytes)):
        if os.path.abspath(os.fsdecode(args[0])).startswith(hidden):
            raise FileNotFoundError(2, "No such file or directory", args[0])

sys.addaudithook(refuse)
stat = os.stat

def far_stat(path, *args, **kwargs):
    if not isinstance(path, int):
        refuse("open", [os.fspath(path)])
    return stat(path, *args, **kwargs)

os.stat = far_stat
"""
# What a place runs on the other side: connect, be told apart from strangers, become the worker.
_THERE = f"""
import os, runpy, socket, sys
port, secret, hidden = sys.argv[1:]
{HIDE}
sock = socket.create_connection(("127.0.0.1", int(port)))
sock.sendall(secret.encode())
sys.argv = ["worker", str(sock.detach())]
runpy.run_module("lollms_modalities.workers.worker", run_name="__main__", alter_sys=False)
"""


class FarWorker:
    """A worker over there."""

    def __init__(self, popen: subprocess.Popen[bytes], sock: socket.socket, spec: Spec) -> None:
        self.sock = sock
        self.pid = popen.pid
        self.killed_because = ""
        self._popen = popen
        self._output = spec.output()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        return self._popen.returncode if self._ended.is_set() else None

    def reap(self, ended: Callable[[], object]) -> None:
        threading.Thread(target=self._reap, args=(ended,), daemon=True).start()

    def kill(self, because: str, wait: float = 1.0) -> None:
        if not self._ended.is_set():
            self.killed_because = self.killed_because or because
            os.killpg(self.pid, signal.SIGKILL)
            if wait:
                self._ended.wait(wait)

    def wait(self, timeout: float) -> None:
        if self._ended.wait(timeout):
            self._reader.join(timeout)

    def cause(self) -> str:
        self._ended.wait(1.0)
        return self.killed_because or f"it ended far away with {self.exit_code}"

    def last_lines(self) -> list[str]:
        self.wait(1.0)
        return self._output.last_lines()

    def forget(self) -> None:
        self._popen.returncode = 0
        self._ended.set()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as printed:
            for line in printed:
                self._output.feed(line)
        self._output.feed(b"", final=True)

    def _reap(self, ended: Callable[[], object]) -> None:
        self._popen.wait()
        self._ended.set()
        ended()


class FarPlace:
    """Where the bindings of ``site`` are installed, and the files of ``hidden`` are not."""

    name = "far"
    shares_files = False

    def __init__(self, site: Path, home: Path, hidden: Path) -> None:
        self._site, self._home, self._hidden = site, home, hidden
        self.started: list[tuple[Spec, bool]] = []
        self.workers: list[FarWorker] = []
        self.hold = threading.Event()
        self.hold.set()

    def start(self, spec: Spec, *, own: bool) -> FarWorker:
        self.started.append((spec, own))
        assert self.hold.wait(60)
        secret = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            popen = subprocess.Popen(
                [sys.executable, "-P", "-c", _THERE, str(server.getsockname()[1]), secret, str(self._hidden)],
                env={"PYTHONPATH": str(self._site), **spec.policy.variables},
                cwd=self._home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            sock, _ = server.accept()
        assert sock.recv(32, socket.MSG_WAITALL).decode() == secret
        self.workers.append(FarWorker(popen, sock, spec))
        return self.workers[-1]
