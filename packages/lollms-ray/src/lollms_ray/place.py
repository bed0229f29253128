"""A Ray cluster as a place: Ray finds the node and starts the worker there, and our protocol runs over TCP and TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lollms_modalities import (
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
    PlaceError,
    Spec,
    WorkerCrashedError,
    __version__,
    find_environment,
    make_identity,
    reach_worker,
)

from lollms_ray.helper import Helper, Told

if TYPE_CHECKING:
    from lollms_modalities import TlsLink

_UNKNOWN = "it closed its connection"


class RayWorker:
    """A worker that Ray has placed, as the host sees it: ``Running`` of the core says what each method does."""

    def __init__(self, spec: Spec) -> None:
        self.sock: TlsLink = cast("TlsLink", None)  # until it has been reached
        self.node = ""
        self.killed_because = ""
        self._told: Told = {}
        self._output = spec.output()
        self._ended = threading.Event()
        self._then: Callable[[], object] = lambda: None

    def ended(self, told: Told) -> None:
        """It has ended, or nobody knows any more."""
        self._told = told
        if told["lines"]:
            self._output.feed("\n".join([*told["lines"], ""]).encode(), final=True)
        self._ended.set()
        if told["cause"]:  # else its cluster is gone, and it may go on
            self._then()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, where it is known."""
        code: int | None = self._told.get("code")
        return code

    def reap(self, ended: Callable[[], object]) -> None:
        """Call ``ended`` when it has."""
        self._then = ended
        if self._ended.is_set() and self._told["cause"]:
            ended()

    def kill(self, because: str, wait: float = 1.0) -> None:
        """End it: on its node it ends with the connection, whatever it does."""
        if self._ended.is_set() and self._told.get("cause"):
            return
        self.killed_because = self.killed_because or because
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        if wait:
            self._ended.wait(wait)

    def wait(self, timeout: float) -> None:
        """Wait for its end."""
        self._ended.wait(timeout)

    def cause(self) -> str:
        """Why it ended."""
        if self.sock.lost:
            return f"{self.sock.lost}; it was on {self.node}"
        self._ended.wait(1.0)
        return self.killed_because or self._told.get("cause") or _UNKNOWN

    def last_lines(self) -> list[str]:
        """The last that it printed, once it has ended."""
        self._ended.wait(1.0)
        return self._output.last_lines()

    def forget(self) -> None:
        """In a forked child: nothing here is ours."""
        self._ended.set()


class RayPlace:
    """A Ray cluster. Ray chooses the node; the calls do not go through Ray.

    Args:
        address: "local" starts Ray on this machine, reached by nobody else, which ends with the program; "auto" is the
            cluster that runs on this machine; "HOST:PORT", or "ray://HOST:PORT", is the head of another.
        num_gpus, num_cpus, resources, memory: what Ray keeps for each worker (memory in bytes).
        environment: the environment of this machine that holds Ray (with ``lollms-ray[ray]``), by name or folder.
        token: the file with the cluster's token; else what ``RAY_AUTH_TOKEN_PATH`` or ``~/.ray/auth_token`` names.
        allow_open: join a cluster that asks nobody for a token, on which whoever reaches it runs code.
    """

    name = "ray"
    shares_files = False

    def __init__(
        self, address: str = "local", *, num_gpus: float = 0, num_cpus: float = 1,
        resources: Mapping[str, float] | None = None, memory: int | None = None, environment: str | Path = "ray",
        token: str | Path | None = None, allow_open: bool = False,
    ) -> None:  # fmt: skip
        self.address = address.removeprefix("ray://")
        options: dict[str, Any] = {"num_gpus": num_gpus, "num_cpus": num_cpus, "resources": resources, "memory": memory}
        self._options = {name: value for name, value in options.items() if value is not None}
        self._environment = environment
        self._token = token
        self._allow_open = allow_open
        self._lock = threading.Lock()
        self._helper: Helper | None = None

    def start(self, spec: Spec, *, own: bool) -> RayWorker:
        """Have Ray start a worker on some node, and connect.

        Raises:
            PlaceError: the cluster cannot be reached, has no room, or is open to everybody.
            BindingNotFoundError: there is no such environment, here for Ray or on the node.
            BindingDependencyError, BindingIncompatibleError: the node's core is missing, or another one.
        """
        host, limit = make_identity(), spec.policy.start_timeout
        worker = RayWorker(spec)
        asked = {
            "modality": spec.modality, "name": spec.name, "environment": spec.environment, "other": host.certificate,
            "limit": limit, "core": __version__,
        }  # fmt: skip
        message = {"options": self._options, "limit": limit, "worker": asked}
        told, sock = self._held().start(message, limit, worker.ended)
        worker.node = told.get("node", "")
        if sock is None:
            raise self._failed(told, spec)
        try:
            worker.sock, _ = reach_worker(sock, host, told["certificate"], spec.policy.variables, limit=limit)
        except OSError as exc:
            raise PlaceError(
                f"{spec} was started on {worker.node} and could not be reached: {exc}", place=self.name, reason="answer"
            ) from exc
        return worker

    def close(self) -> None:
        """Let go of the cluster: what was started for it ends. The next worker joins it again."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def _held(self) -> Helper:
        with self._lock:
            if self._helper is None or not self._helper.alive:
                if self._helper is not None:
                    self._helper.close()
                    self._helper = None
                python = find_environment(self._environment).python
                self._helper = Helper(python, self.address, self._token_file(), allow_open=self._allow_open)
            return self._helper

    def _token_file(self) -> Path | None:
        named = self._token or os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
        path = Path(named).expanduser()
        if path.is_file():
            return path
        if self._token is not None or (not self._allow_open and self.address != "local"):
            raise PlaceError(
                f"There is no token for the cluster {self.address!r}: {str(path)!r} is no file.",
                hint="Give token=, the file that the cluster was started with, or say allow_open=True.",
                place=self.name,
                reason="authentication",
            )
        return None

    def _failed(self, told: Told, spec: Spec) -> Exception:
        why, node, said = told["why"], told.get("node", ""), str(told.get("said", "")).strip().rstrip(".")
        if why == "room":
            wanted = ", ".join(f"{name}={value}" for name, value in self._options.items())
            return PlaceError(
                f"No node of the cluster had room for {spec} within {said} s: it asks for {wanted}.",
                hint="ray status shows what there is.",
                place=self.name,
            )
        if why == "core":
            return BindingDependencyError(
                f"lollms-modalities-core cannot be imported on {node}: {said}.",
                hint=f"Install lollms-modalities-core=={__version__} there, where Ray runs.",
                name=spec.name,
            )
        if why == "version":
            return BindingIncompatibleError(
                f"{node} has lollms-modalities-core {said}; here is {__version__}.",
                hint=f"Install lollms-modalities-core=={__version__} there.",
                name=spec.name,
            )
        if why == "environment":
            return BindingNotFoundError(f"On {node}: {said}.")
        if why == "worker":
            lines = said.split("\n")
            return WorkerCrashedError(f"{spec} did not start on {node}: {said}.", cause=lines[0], last_lines=lines[1:])
        return PlaceError(f"Ray could not start {spec}: {said}.", place=self.name)

    def __repr__(self) -> str:
        return f"RayPlace({self.address!r})"
