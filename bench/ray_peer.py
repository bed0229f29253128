"""What Ray takes for the same: an actor and a Serve handle on another node. ``python ray_peer.py ADDRESS NODE``.

In the environment that has Ray. Each line of its input is a kind of work and how often; a line of JSON answers, with
the median seconds of the actor and of the handle. ``start`` is an actor until its first answer.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray import serve

SMALL, LARGE, ITEM = bytes(46), bytes(10_000_044), bytes(640)


class Idle:
    """Does nothing, much of nothing, or nothing often."""

    def small(self, text: str) -> bytes:
        return SMALL

    def large(self, text: str) -> bytes:
        return LARGE

    def stream(self, text: str) -> Iterator[bytes]:
        for _ in range(1000):
            yield ITEM


def _work(node: str) -> dict[str, dict[str, Callable[[], object]]]:
    where: dict[str, Any] = {"num_cpus": 0.1, "resources": {node: 0.01}}
    remote: Any = ray.remote(Idle).options(**where)
    actor = remote.remote()
    serve.start(http_options={"location": "NoServer"})
    handle: Any = serve.run(serve.deployment(ray_actor_options=where)(Idle).bind(), route_prefix=None)

    def start() -> None:
        new = remote.remote()
        ray.get(new.small.remote("hi"))
        ray.kill(new)

    return {
        "small": {
            "actor": lambda: ray.get(actor.small.remote("hi")),
            "Serve": lambda: handle.small.remote("hi").result(),
        },
        "large": {
            "actor": lambda: ray.get(actor.large.remote("hi")),
            "Serve": lambda: handle.large.remote("hi").result(),
        },
        "stream": {
            "actor": lambda: [ray.get(item) for item in actor.stream.options(num_returns="streaming").remote("hi")],
            "Serve": lambda: list(handle.options(stream=True).stream.remote("hi")),
        },
        "start": {"actor": start},
    }


def _median(fn: Callable[[], object], number: int) -> float:
    taken = []
    for _ in range(number + max(1, number // 20)):
        began = time.perf_counter()
        fn()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[-number:])


def main() -> None:
    """Answer until the input ends."""
    address, node = sys.argv[1:]
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Serve prints
    ray.init(address=address, log_to_driver=False, logging_level="error", namespace="bench")
    work = _work(node)
    print("{}", file=told, flush=True)
    for line in sys.stdin:
        kind, number = line.split()
        print(json.dumps({who: _median(fn, int(number)) for who, fn in work[kind].items()}), file=told, flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
