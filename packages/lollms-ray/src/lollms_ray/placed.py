"""What Ray runs on a node: an actor that starts one worker there, and tells how it ended.

It is sent by value. It gives Ray nothing secret: the worker's key goes from here over a descriptor that it inherits,
and Ray carries certificates alone.
"""

from __future__ import annotations

import threading
from typing import Any


class Placed:
    """One worker on a node."""

    def start(self, told: dict[str, Any]) -> dict[str, Any]:
        """Start the worker, which then waits for its host.

        Args:
            told: ``modality``, ``name``, ``environment`` (or None), the host's certificate as ``other``, ``limit``,
                and the host's ``core``.

        Returns:
            ``address``, ``port``, ``certificate``, ``node``, ``node_id``, ``pid``; or ``missing``, with what is, as
            ``said``.
        """
        import ray

        node, here = ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id()
        try:
            from lollms_modalities import LollmsError, __version__, find_environment, tell_worker
        except ImportError as exc:  # there is none, or one that has no such worker
            return {"missing": "core", "node": node, "said": str(exc)}
        if __version__.split(".")[0] != told["core"].split(".")[0]:
            return {"missing": "version", "node": node, "said": __version__}
        try:
            name = told["environment"] or _where(told["modality"], told["name"])
            environment = None if name is None else find_environment(name)
        except LollmsError as exc:
            return {"missing": "environment", "node": node, "said": str(exc)}
        self._ended = threading.Event()
        self._process = _start(environment)
        self._process.reap(self._ended.set)
        try:
            port, certificate = tell_worker(self._process.sock, told["other"], address=node, limit=told["limit"])
        except (OSError, LollmsError) as exc:
            self._process.wait(1.0)
            said = "\n".join([str(exc), *self._process.last_lines()])
            return {"missing": "worker", "node": node, "said": said}
        where = {"node": node, "node_id": here, "pid": self._process.pid}
        return {"address": node, "port": port, "certificate": certificate, **where}

    def wait(self) -> dict[str, Any]:
        """How it ended, when it has."""
        self._ended.wait()
        self._process.wait(2.0)
        return {
            "cause": self._process.cause(),
            "code": self._process.exit_code,
            "lines": self._process.last_lines(),
        }


def _where(modality: str, name: str) -> str | None:
    """The environment of this node that has a binding; None for the Python that runs here."""
    import lollms_modalities

    manager = getattr(lollms_modalities, f"Lollms{modality.upper()}BindingManager")()
    try:
        found: str | None = manager.find(name).environment
    except LookupError:
        return None  # the worker says what there is
    return found


def _start(environment: Any) -> Any:
    import os

    from lollms_modalities import start_listening

    variables = os.environ if environment is None else environment.variables_inside
    # What Ray tells its own processes is not the worker's business.
    variables = {name: value for name, value in variables.items() if not name.startswith("RAY_")}
    if environment is None:
        return start_listening(None, variables)
    return start_listening(environment.python, variables, lock=environment.lock)
