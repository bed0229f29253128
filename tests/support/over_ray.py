"""A plug-in of pytest: the conformance suites with each binding on a node of a real Ray cluster.

    PYTHONPATH=tests/support pytest -p over_ray packages/lollms-piper/tests/test_piper_conformance.py

The cluster has three nodes, which are network namespaces of this machine (``ray_nodes``); the tests are on the one of
the head, the bindings on the two others.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from lollms_modalities.testing.suite import Suite
from ray_nodes import cluster

_running = ExitStack()
_started: list[object] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    """From now on ``--lollms-place`` is that cluster."""
    if hasattr(session.config, "workerinput"):
        pytest.exit("over_ray makes one cluster: run it without -n.")
    nodes = _running.enter_context(cluster(cpus=8))
    _running.enter_context(nodes.here.entered())
    place = nodes.at(num_cpus=0.1)
    session.config.option.lollms_place = place
    start = place.start
    place.start = lambda *args, **kwargs: _started.append(1) or start(*args, **kwargs)  # type: ignore[method-assign,func-returns-value,assignment]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End it."""
    ran = [item for item in session.items if issubclass(getattr(item, "cls", None) or object, Suite)]
    _running.close()
    if ran and session.testscollected and not _started:
        pytest.exit("Nothing ran over Ray.", 1)
