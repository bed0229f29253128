"""The program's side of the process that holds Ray: one for each cluster, whatever the number of places there.

A process can be in one cluster at a time (``ray.init`` refuses a second), so that a program with places in two clusters
has two of them. It begins to start, or to join, at once; whoever asks for a worker meanwhile waits with it.
"""

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
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

from lollms_modalities import PlaceError

from lollms_ray.frames import Frames

Told = dict[str, Any]
News = tuple[Told, list[int]]

_PATIENCE = 15.0  # seconds in which it leaves its cluster before it is killed


class Cluster(NamedTuple):
    """Which cluster, and how it is joined: those for whom all is equal share a helper.

    Attributes:
        python: the interpreter that has Ray.
        address: as ``RayPlace`` has it.
        token: the file with its token, or None.
        allow_open: whether it may be one without.
    """

    python: Path
    address: str
    token: Path | None
    allow_open: bool


class Asker(Protocol):
    """Who has asked for a worker."""

    news: SimpleQueue[News]

    def ended(self, told: Told) -> None:
        """The worker has ended (``cause``, ``code``, ``lines``), or nobody will know (no cause)."""

    def leave(self, why: str) -> None:
        """Its node is about to go."""


def make_token(folder: Path) -> Path:
    """A token for a cluster of this program's own, in a file that only its user can read, before anything listens."""
    path = folder / "token"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


class Helper:
    """One process that holds Ray, connected to one cluster.

    Attributes:
        alive: whether it can be asked; false as soon as the cluster is known to be lost.
        users: the places that use it.

    Raises:
        OSError: the interpreter cannot be started.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.alive = True
        self.users: set[object] = set()
        self._of = os.getpid()
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._number = 0
        self._askers: dict[int, Asker] = {}
        self._first: Told | None = None  # what it said first: whether it is in the cluster
        self._printed = b""
        # Short, since Ray makes sockets in it.
        self._folder = Path(tempfile.mkdtemp(prefix="lollms-ray-"))
        local = cluster.address == "local"
        token = make_token(self._folder) if local else cluster.token
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_AUTH_"))}
        variables |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        # Ray's own are 30 seconds, too few on a busy machine, and workers that all else goes before.
        variables |= {"RAY_raylet_start_wait_time_s": "120", "RAY_worker_niceness": "0"}
        # When the head is lost, what Ray runs ends after 60 seconds, and calls with it.
        variables |= {"RAY_gcs_rpc_server_reconnect_timeout_s": "3600"}
        if token is not None:
            variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        if local:
            # Read on every system, whatever it is called: the address of the loopback is taken as it is.
            variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [str(cluster.python), "-I", "-m", "lollms_ray.holder", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()], env=variables, start_new_session=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
            except BaseException:
                ours.close()
                shutil.rmtree(self._folder, ignore_errors=True)
                raise
        self._sock = ours
        self._frames = Frames(ours)
        atexit.register(self._leave)
        with contextlib.suppress(OSError):  # it has ended, which is read below
            told = {"address": cluster.address, "folder": str(self._folder), "allow_open": cluster.allow_open}
            self._frames.write(told)
        self._output = threading.Thread(target=self._drain, name="lollms-ray-output", daemon=True)
        self._output.start()
        threading.Thread(target=self._read, name="lollms-ray", daemon=True).start()

    def ask(self, message: Told, asker: Asker) -> int:
        """Have a worker started. ``asker.news`` gets what is said of it, first of all whether there is a cluster.

        Returns:
            The number by which to ``forget`` it.
        """
        with self._lock:
            self._number += 1
            number = self._number
            self._askers[number] = asker
            if self._first is not None:
                asker.news.put((self._first, []))
        try:
            with self._sending:
                self._frames.write({"type": "start", "id": number, **message})
        except OSError:
            asker.news.put(({"type": "gone"}, []))
        return number

    def forget(self, number: int) -> None:
        """Nobody waits for that worker any more. One that is there, or comes, is ended."""
        self._askers.pop(number, None)
        with contextlib.suppress(OSError), self._sending:
            self._frames.write({"type": "forget", "id": number})

    def refused(self, told: Told) -> PlaceError:
        """The error for what was said in the place of an answer: ``gone`` or ``refused``."""
        address = self._cluster.address
        if told["type"] == "gone":
            if self._first is not None and self._first["type"] == "ready":
                return PlaceError(
                    f"The cluster {address!r} is lost: Ray does not answer, or has ended.",
                    hint="Calls that run go on. Others are served when the cluster is there again.",
                    place="ray",
                )
            self._output.join(2.0)
            said = self._printed[-1000:].decode(errors="replace").strip()
            return PlaceError(
                f"Ray could not be held for {address!r}: {said or 'the process that holds it has ended'}.",
                hint="Run lollms env create ray, or name an environment that has lollms-ray[ray].",
                place="ray",
                reason="program",
            )
        if told["why"] == "open":
            return PlaceError(
                f"The cluster at {told['where']} asks nobody for a token: whoever reaches it runs code there.",
                hint="Start it with RAY_AUTH_MODE=token, or say allow_open=True.",
                place="ray",
                reason="authentication",
            )
        if told["why"] == "silent":
            return PlaceError(
                f"No cluster answers at {told['where']}.",
                hint="Look whether its head runs, at that port, and can be reached from here.",
                place="ray",
                reason="answer",
            )
        return PlaceError(
            f"Ray could not be joined at {address!r}: {told['where'].rstrip('.')}.",
            hint="This machine must be a node of the cluster (ray start --address=...), with this token: ray status.",
            place="ray",
        )

    def close(self) -> None:
        """End it, and what it has started."""
        atexit.unregister(self._leave)
        self._leave()
        if self._of != os.getpid():
            return  # a forked child: it is the parent's
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _leave(self) -> None:
        """Have it end. Nobody waits for that when the program ends, whose threads run on for as long."""
        self.alive = False
        if self._of == os.getpid():
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while data := os.read(stderr.fileno(), 1 << 16):
                self._printed = (self._printed + data)[-4000:]

    def _read(self) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError, LookupError):
            while True:
                told, descriptors = self._frames.read()
                self._take(told, descriptors)
        self.alive = False
        with self._lock:
            askers = list(self._askers.values())
            self._askers.clear()
        for asker in askers:
            asker.news.put(({"type": "gone"}, []))
            asker.ended({"cause": "", "code": None, "lines": []})
        self._frames.close()
        # What the holder does itself, unless it was ended; until then Ray may use the folder.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, told: Told, descriptors: list[int]) -> None:
        if told["type"] in ("ready", "refused"):
            with self._lock:
                self._first = told
                self.alive = told["type"] == "ready"
                for asker in self._askers.values():
                    asker.news.put((told, []))
            return
        asker_told = self._askers.get(told["id"])
        if asker_told is None:
            for descriptor in descriptors:
                os.close(descriptor)  # nobody waits for it any more
        elif told["type"] == "leaving":
            asker_told.leave(told["why"])
        elif told["type"] == "ended":
            self._askers.pop(told["id"], None)
            asker_told.ended(told)
        else:
            asker_told.news.put((told, descriptors))


_helpers: dict[Cluster, Helper] = {}
_holding = threading.Lock()


def held(cluster: Cluster, user: object) -> Helper:
    """The helper for a cluster, started if there is none, for a place that ``let_go`` ends. Raises OSError."""
    with _holding:
        helper = _helpers.get(cluster)
        if helper is None or not helper.alive:
            if helper is not None:
                helper.close()
            helper = _helpers[cluster] = Helper(cluster)
        helper.users.add(user)
        return helper


def let_go(cluster: Cluster, user: object) -> None:
    """A place uses the helper for a cluster no more: the last one ends it."""
    with _holding:
        helper = _helpers.get(cluster)
        if helper is None:
            return
        helper.users.discard(user)
        if helper.users:
            return
        del _helpers[cluster]
    helper.close()


def _after_fork() -> None:
    global _holding
    _holding = threading.Lock()
    _helpers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
