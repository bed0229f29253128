"""A binding on another node of a Ray cluster, beside a Ray actor and a Serve handle there; and what a worker costs.

The three nodes are network namespaces of this machine, which needs root.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
from lollms_modalities import LollmsTTSBindingManager, WorkerPolicy

import bench.support  # noqa: F401 - makes the imports from there possible
from bench.harness import seconds, without_plugins
from bench.idle_binding import install
from bench.isolation import TEXT, median

KINDS = {
    "call of a no-op binding, p50": ("small", 1000, 3.0),
    "10 MB result": ("large", 20, None),
    "1,000 stream items": ("stream", 10, None),
    "start of a worker": ("start", 10, None),
}
_TURNS = 5
_WORKERS = 4  # of which the constants are measured
Ask = Callable[[str, int], dict[str, float]]


@without_plugins("marks")
def cluster() -> None:
    """Calls, large results, streams, the first sound and a start, in one run; then what each worker costs."""
    from ray_nodes import cluster as ray_cluster  # type: ignore[import-not-found, unused-ignore]

    if os.getuid() != 0:
        print("cluster: left out, as making a network takes root", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        variables = {"PYTHONPATH": str(install(Path(folder)))}
        nodes = stack.enter_context(ray_cluster("ray[serve]==2.60.0", cpus=16, **variables))
        stack.enter_context(nodes.here.entered())
        place = nodes.at(resources={"node1": 0.01})
        with _peer(nodes) as ask:
            _beside(place, ask)
        _first_audio(place)
        _constants(nodes, place)


def _opened(place: Any, name: str = "idle") -> Any:
    policy = WorkerPolicy(start_timeout=60.0, grace=1.0)
    return LollmsTTSBindingManager().require_binding(name, place=place, policy=policy)


def _beside(place: Any, ask: Ask) -> None:
    with _opened(place) as binding:
        work: dict[str, Callable[[], object]] = {
            "small": lambda: binding.generate_audio("hi"),
            "large": lambda: binding.generate_audio("hi", large=True),
            "stream": lambda: list(binding.stream_audio("hi")),
            "start": lambda: _opened(place).close(),
        }
        for what, (kind, number, goal) in KINDS.items():
            # In turns, since a machine's speed drifts.
            turns = []
            for _ in range(_TURNS):
                ours = median(work[kind], max(1, number // _TURNS))
                turns.append({"ours": ours} | ask(kind, max(1, number // _TURNS)))
            for who in turns[0]:
                taken = statistics.median(turn[who] for turn in turns)
                ratio = statistics.median(turn[who] / turn["ours"] for turn in turns)
                told = f", goal {goal:g}: {'met' if ratio >= goal else 'MISSED'}" if who == "actor" and goal else ""
                print(f"{what:32} {who:8} {taken * 1e3:9.3f} ms   {ratio:6.2f} times ours{told}", flush=True)


@contextmanager
def _peer(nodes: Any) -> Iterator[Ask]:
    script = str(Path(__file__).with_name("ray_peer.py"))
    process = subprocess.Popen(
        [str(nodes.environment / "bin" / "python"), script, nodes.address, "node1"],
        env=nodes.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    said, writes = process.stdout, process.stdin

    def ask(kind: str, number: int) -> dict[str, float]:
        writes.write(f"{kind} {number}\n")
        writes.flush()
        told: dict[str, float] = json.loads(said.readline())
        return told

    try:
        assert json.loads(said.readline()) == {}
        yield ask
    finally:
        process.kill()
        process.communicate()


def _first_audio(place: Any) -> None:
    """Until Piper's first sound, the voice being loaded, in turns with one in place and one in a process here."""
    manager = LollmsTTSBindingManager()

    def first(binding: Any) -> float:
        with binding.stream_audio(TEXT, noise_scale=0, noise_w_scale=0) as stream:
            return seconds(lambda: next(stream))

    with (
        _opened(place, "piper") as far,
        manager.require_binding("piper", isolated=True) as near,
        manager.require_binding("piper") as here,
    ):
        bindings = {"ours": far, "process": near, "in place": here}
        turns = [{who: first(binding) for who, binding in bindings.items()} for _ in range(16)]
        for who in bindings:
            taken = statistics.median(turn[who] for turn in turns[1:])  # the first loads the voice
            ratio = statistics.median(turn[who] / turn["in place"] for turn in turns[1:])
            print(f"{'first audio of Piper':32} {who:8} {taken * 1e3:9.3f} ms   {ratio:6.2f} of in place", flush=True)


def _constants(nodes: Any, place: Any) -> None:
    """What a further worker costs: the program, the process that holds Ray, and the node."""
    first = _opened(place)
    before = _use(nodes)
    more = [_opened(place) for _ in range(_WORKERS)]
    after = _use(nodes)
    for whose, numbers in before.items():
        each = {what: (after[whose][what] - number) / _WORKERS for what, number in numbers.items()}
        print(f"{whose:32} {_shown(numbers)}; a further worker: {_shown(each)}", flush=True)
    for binding in (first, *more):
        binding.close()


def _shown(numbers: dict[str, float]) -> str:
    return ", ".join(f"{number:.1f} {what}" for what, number in numbers.items())


def _use(nodes: Any) -> dict[str, dict[str, float]]:
    me = psutil.Process()
    holders = [p for p in me.children(recursive=True) if "lollms_ray.holder" in p.cmdline()]
    (node, *_) = nodes.others.values()
    return {"the program": _sum([me]), "the process that holds Ray": _sum(holders), "the node": _sum(node.processes)}


def _sum(processes: list[psutil.Process]) -> dict[str, float]:
    memory = sum(process.memory_full_info().uss for process in processes) / 1e6
    threads = sum(process.num_threads() for process in processes)
    descriptors = sum(process.num_fds() for process in processes)
    sockets = sum(len(process.net_connections("tcp")) for process in processes)
    return {
        "processes": len(processes), "MB": memory, "threads": threads, "descriptors": descriptors,
        "TCP sockets": sockets,
    }  # fmt: skip
