"""The program's side of the process that holds Ray: started once for a place, asked for workers."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from lollms_modalities import PlaceError

from lollms_ray.frames import Frames

Told = dict[str, Any]
_STARTING = 180.0  # seconds until Ray runs, or has been joined


def make_token(folder: Path) -> Path:
    """A token for a cluster of this program's own, in a file that only its user can read, before anything listens."""
    path = folder / "token"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


class Helper:
    """One process that holds Ray, connected to one cluster.

    Raises:
        PlaceError: Ray cannot be started or joined, or the cluster is open to everybody.
    """

    def __init__(self, python: Path, address: str, token: Path | None, *, allow_open: bool) -> None:
        self._address = address
        self.alive = True
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._number = 0
        self._waiting: dict[int, SimpleQueue[tuple[Told, list[int]]]] = {}
        self._ended: dict[int, Callable[[Told], object]] = {}
        # Short, since Ray makes sockets in it.
        self._folder = Path(tempfile.mkdtemp(prefix="lollms-ray-"))
        if address == "local":
            token = make_token(self._folder)
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_AUTH_"))}
        variables |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        if token is not None:
            variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        if address == "local":
            # Read on every system, whatever it is called: the address of the loopback is taken as it is.
            variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [str(python), "-I", "-m", "lollms_ray.holder", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=variables, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        self._sock = ours
        self._frames = Frames(ours)
        atexit.register(self.close)
        ours.settimeout(_STARTING)
        try:
            self._frames.write({"address": address, "folder": str(self._folder), "allow_open": allow_open})
            told, _ = self._frames.read()
        except (OSError, EOFError) as exc:
            said = self._said()
            self.close()
            raise PlaceError(
                f"Ray could not be held for {address!r}: {said or exc or 'the process that holds it has ended'}.",
                hint="Install lollms-ray[ray] into an environment of its own, and name that: docs/ray.md.",
                place="ray",
                reason="program",
            ) from exc
        if told["type"] != "ready":
            self.close()
            raise self._refused(told)
        ours.settimeout(None)
        threading.Thread(target=self._drain, name="lollms-ray-output", daemon=True).start()
        threading.Thread(target=self._read, name="lollms-ray", daemon=True).start()

    def start(self, message: Told, limit: float, ended: Callable[[Told], object]) -> tuple[Told, socket.socket | None]:
        """Have a worker started. ``ended`` is told when it has ended, or when nobody will know.

        Raises:
            PlaceError: the cluster is gone, or it took longer than ``limit`` seconds.
        """
        answers: SimpleQueue[tuple[Told, list[int]]] = SimpleQueue()
        with self._lock:
            self._number += 1
            number = self._number
            self._waiting[number] = answers
            self._ended[number] = ended
        try:
            with self._sending:
                self._frames.write({"type": "start", "id": number, **message})
            told, descriptors = answers.get(timeout=limit + 5)
        except (OSError, Empty) as exc:
            self._ended.pop(number, None)
            raise self.lost() from exc
        finally:
            self._waiting.pop(number, None)
        if told["type"] == "gone":
            raise self.lost()
        if told["type"] == "failed":
            self._ended.pop(number, None)
        return told, socket.socket(fileno=descriptors[0]) if descriptors else None

    def lost(self) -> PlaceError:
        """The error for a cluster that is not there any more."""
        return PlaceError(
            f"The cluster {self._address!r} is lost: Ray does not answer, or has ended.",
            hint="Calls that run go on. Others are served when the cluster is there again.",
            place="ray",
        )

    def close(self) -> None:
        """End it, and what it has started."""
        self.alive = False
        atexit.unregister(self.close)
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._sock.close()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _refused(self, told: Told) -> PlaceError:
        if told["why"] == "open":
            return PlaceError(
                f"The cluster at {told['where']} asks nobody for a token: whoever reaches it runs code there.",
                hint="Start it with RAY_AUTH_MODE=token, or say allow_open=True.",
                place="ray",
                reason="authentication",
            )
        return PlaceError(
            f"Ray could not be joined at {self._address!r}: {told['where'].rstrip('.')}.",
            hint="Look whether it runs and takes this token: ray status.",
            place="ray",
        )

    def _said(self) -> str:
        self._process.kill()
        assert self._process.stderr is not None
        return self._process.stderr.read()[-1000:].decode(errors="replace").strip()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while self._process.stderr.read(1 << 16):
                pass

    def _read(self) -> None:
        try:
            while True:
                told, descriptors = self._frames.read()
                if told["type"] == "ended":
                    if (ended := self._ended.pop(told["id"], None)) is not None:
                        ended(told)
                elif (answers := self._waiting.get(told["id"])) is not None:
                    answers.put((told, descriptors))
                else:
                    for descriptor in descriptors:
                        os.close(descriptor)  # nobody waits for it any more
        except (OSError, EOFError, ValueError):
            pass
        self.alive = False
        for answers in list(self._waiting.values()):
            answers.put(({"type": "gone"}, []))
        for ended in list(self._ended.values()):
            ended({"cause": "", "code": None, "lines": []})
