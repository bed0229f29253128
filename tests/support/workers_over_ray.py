"""A plug-in for pytest, ``-p workers_over_ray``: what asks for a process of this machine gets one on a node of Ray's.

So the tests of isolated bindings run over it. The three nodes are network namespaces of this machine (``ray_nodes``),
which share its files; what differs where they are not is tested in ``test_core_places.py``.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lollms_modalities import Place, ProcessPlace, Spec
from lollms_modalities.workers import finding_places, opening
from lollms_ray import RayPlace
from lollms_ray.worker import RayWorker

_HERE = Path(__file__).parent
_running = ExitStack()


class Near(RayPlace):
    """As a process: with the interpreter and the files of this machine."""

    shares_files = True

    def start(self, spec: Spec, *, own: bool) -> RayWorker:
        """Start one in the environment that holds the interpreter."""
        meant = spec.environment
        spec.environment = sys.prefix if own else str(spec.python.parent.parent)
        try:
            return super().start(spec, own=own)
        finally:
            spec.environment = meant


def pytest_configure(config: Any) -> None:
    """From now on it does."""
    from ray_environment import ray_environment
    from ray_nodes import cluster

    nodes = _running.enter_context(cluster(cpus=8))
    _running.enter_context(nodes.here.entered())
    told = json.dumps([nodes.address, str(ray_environment()), str(nodes.token)])
    begins = f"import workers_over_ray; workers_over_ray.begin(*{told})\n"
    os.environ["LOLLMS_TESTS_BEGIN"] = f"import sys; sys.path.append({str(_HERE)!r}); {begins}"
    _running.callback(begin(nodes.address, str(ray_environment()), str(nodes.token)).close)


def begin(address: str, environment: str, token: str) -> RayPlace:
    """From now on it does, in this program."""
    near = Near(address, num_cpus=0.1, environment=environment, token=token)
    found = finding_places.find_place

    def find_place(place: Place | str | None) -> Place:
        return near if place in (None, ProcessPlace.name) else found(place)

    finding_places.find_place = opening.find_place = find_place  # type: ignore[attr-defined]
    return near


def pytest_unconfigure(config: Any) -> None:
    """End it."""
    _running.close()
