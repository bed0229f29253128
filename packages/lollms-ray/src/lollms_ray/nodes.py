"""Nodes that Ray takes for living ones and that do not answer: they were killed, or cut off, a moment ago.

Ray notices after a quarter of a minute to one minute, and until then gives them new workers.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_REACHING = 2.0  # seconds for a connection
_AT_ONCE = 64


def unreachable() -> set[str]:
    """Their names for Ray."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reached = list(pool.map(_is_reached, nodes))
    return {str(node["NodeID"]) for node, there in zip(nodes, reached, strict=True) if not there}


def without(nodes: set[str]) -> dict[str, Any]:
    """The options by which Ray gives them nothing."""
    return {"label_selector": {"ray.io/node-id": f"!in({','.join(sorted(nodes))})"}} if nodes else {}


def _is_reached(node: Mapping[str, Any]) -> bool:
    return is_reached(node["NodeManagerAddress"], node["NodeManagerPort"])


def is_reached(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), _REACHING).close()
    except OSError:
        return False
    return True
