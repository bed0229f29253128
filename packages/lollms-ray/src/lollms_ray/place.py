"""A Ray cluster as a place: Ray finds the node and starts the worker there, and our protocol runs over TCP and TLS."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty
from typing import Any

from lollms_modalities import (
    BindingDependencyError,
    BindingIncompatibleError,
    BindingNotFoundError,
    LollmsError,
    PlaceError,
    Spec,
    WorkerCrashedError,
    __version__,
    find_environment,
    make_identity,
    reach_worker,
    tell_starting,
)

from lollms_ray.helper import Cluster, Helper, News, Told, held, let_go
from lollms_ray.worker import UNWANTED, RayWorker

_STARTING = 180.0  # seconds until a cluster of this program's own runs, or another has been joined


class RayPlace:
    """A Ray cluster. Ray chooses the node; the calls do not go through Ray.

    Places in the same cluster share one process that holds Ray, and a cluster of this program's own.

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
        self._cluster: Cluster | None = None
        self._user = object()  # as whom the helper knows it

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
        helper = self._held()
        number = helper.ask({"options": self._options, "limit": limit, "worker": asked}, worker)
        there = False
        try:
            tell_starting(worker)
            told, descriptors = self._awaited(worker, helper, spec)
            worker.node, worker.pid = told.get("node", ""), told.get("pid", 0)
            if not descriptors:
                raise self._failed(told, spec)
            sock = socket.socket(fileno=descriptors[0])
            worker.sock, said = reach_worker(sock, host, told["certificate"], spec.policy.variables, limit=limit)
            self._check_core(spec, worker.node, said["core"])
            there = True
        except LollmsError:
            raise  # some are OSErrors, too
        except OSError as exc:
            raise PlaceError(
                f"{spec} was started on {worker.node} and could not be reached: {exc}", place=self.name, reason="answer"
            ) from exc
        finally:
            if not there:
                helper.forget(number)
                if worker.sock is not None:
                    worker.sock.close()
        return worker

    def close(self) -> None:
        """Let go of the cluster: with the last place there ends what was started for it. A next worker joins again."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            let_go(cluster, self._user)

    def check(self) -> None:
        """Whether there is an environment that holds Ray, and the token that is needed. Starts nothing.

        Raises:
            BindingNotFoundError: there is no such environment.
            PlaceError: it lacks lollms-ray, or there is no token.
        """
        environment = find_environment(self._environment)
        if self.name not in environment.places:
            raise PlaceError(
                f"The environment {environment.name!r} does not have lollms-ray.",
                hint="Run lollms env create ray, or name an environment that has lollms-ray[ray].",
                place=self.name,
                reason="program",
            )
        self._token_file()

    def _held(self) -> Helper:
        try:
            python = find_environment(self._environment).python
        except BindingNotFoundError as exc:
            raise BindingNotFoundError(
                f"The process that holds Ray has no environment: {exc.message}",
                hint="Run lollms env create ray, or name an environment that has lollms-ray[ray].",
            ) from exc
        self._cluster = Cluster(python, self.address, self._token_file(), self._allow_open)
        try:
            return held(self._cluster, self._user)
        except OSError as exc:
            raise PlaceError(f"{python} cannot be started: {exc}.", place=self.name, reason="program") from exc

    def _awaited(self, worker: RayWorker, helper: Helper, spec: Spec) -> News:
        """What is said of it in the end: it listens, or has failed."""
        limit = spec.policy.start_timeout
        until = time.monotonic() + max(limit, _STARTING)
        while True:
            try:
                told, descriptors = worker.news.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise PlaceError(
                    f"The process that holds Ray has not answered for {self.address!r} in time.", place=self.name
                ) from None
            if told["type"] == "ready":
                until = time.monotonic() + limit + 5
            elif told["type"] in ("gone", "refused"):
                raise helper.refused(told)
            elif told["type"] == UNWANTED:
                raise PlaceError(f"{spec} is not started: {worker.killed_because}.", place=self.name)
            else:
                return told, descriptors

    def _check_core(self, spec: Spec, node: str, core: str) -> None:
        """One of this major version goes on without what one of the two lacks: docs/protocol.md."""
        if core.split(".")[0] != __version__.split(".")[0]:
            raise self._failed({"why": "version", "node": node, "said": core}, spec)
        if core.split(".")[:2] != __version__.split(".")[:2]:
            spec.log.warning(
                "%s on %s has lollms-modalities-core %s, and here is %s: what the older lacks is refused.",
                spec, node, core, __version__,
            )  # fmt: skip

    def _token_file(self) -> Path | None:
        named = self._token or os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
        path = Path(os.path.expanduser(named))
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
        if why == "head":
            return PlaceError(
                f"The head of the cluster {self.address!r} does not answer: {spec} is not started.",
                hint="Calls that run go on. Others are served when it is there again.",
                place=self.name,
                reason="answer",
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
