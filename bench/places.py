"""The same binding at several places, in one run: here, in a process, over TCP, over ssh, behind ``lollms serve``, on
another host (a network namespace, which needs root); and beside grpc and xoscar. A place has a row in ``_everywhere``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import LollmsTTSBindingManager
from lollms_modalities.workers.tcp import TcpPlace

import bench.support  # noqa: F401 - makes the imports from there possible
from bench.harness import seconds, show_extra, without_plugins
from bench.idle_binding import install
from bench.isolation import TEXT, median, peer
from bench.listing_peers import uv
from bench.serving import served

Work = dict[str, Callable[[], object]]
KINDS = {
    "call of a no-op binding, p50": ("small", 1000),
    "10 MB result": ("large", 20),
    "1,000 stream items": ("stream", 10),
}
_TURNS = 10
Where = dict[str, dict[str, Any]]


@without_plugins("marks")
def places() -> None:
    """A no-op call, a large result, a stream and a first sound at each place; the ratio is to grpc in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        manager = LollmsTTSBindingManager(site)
        with served(Path(folder), site) as (port, _), _everywhere(Path(folder), site, port) as where:
            _work(manager, where)
            _first_audio(where)


def _work(manager: LollmsTTSBindingManager, where: Where) -> None:
    with ExitStack() as stack, _grpc() as grpc:
        work = {n: _of(stack.enter_context(manager.require_binding("idle", **how))) for n, how in where.items()}
        work["grpc"] = grpc
        xoscar = _xoscar()
        for what, (kind, number) in KINDS.items():
            # In turns, since a machine's speed drifts; xoscar, in a program of its own, by itself.
            turns = [{name: median(fns[kind], number // _TURNS) for name, fns in work.items()} for _ in range(_TURNS)]
            taken = {name: statistics.median(turn[name] for turn in turns) for name in work} | {"xoscar": xoscar[kind]}
            for name, each in taken.items():
                told = f"{each * 1e3:9.3f} ms   {each / taken['grpc']:6.2f} of grpc"
                print(f"{what:32} {name:24} {told}", flush=True)
            if kind == "small":
                how = f"{_ratio(turns, 'process', 'grpc'):.2f} of grpc (goal 0.25)"
                show_extra("a call to a process", taken["process"], 120e-6, 1e6, "us", how)
                tcp = _ratio(turns, "TCP and TLS, this machine", "process")
                print(f"a call over TCP takes {tcp:.2f} of one to a process (goal 1.3)", flush=True)


def _ratio(turns: list[dict[str, float]], one: str, other: str) -> float:
    return statistics.median(turn[one] / turn[other] for turn in turns)


@contextmanager
def _everywhere(folder: Path, site: str, port: int) -> Iterator[Where]:
    from across import AcrossTcp  # type: ignore[import-not-found, unused-ignore]
    from namespaces import network  # type: ignore[import-not-found, unused-ignore]
    from sshd import sshd  # type: ignore[import-not-found, unused-ignore]

    shared = TcpPlace(shares_files=True)  # so that it finds the idle binding
    where: Where = {"in place": {}, "process": {"isolated": True}, "TCP and TLS, this machine": {"place": shared}}
    with ExitStack() as stack:
        if os.getuid() == 0:
            here, there = stack.enter_context(network("here", "there"))
            place = AcrossTcp(here, there, shares_files=True)
            where["TCP and TLS, another host"] = {"place": place}
        else:
            print("TCP and TLS, another host: left out, as making a network takes root", flush=True)
        box = stack.enter_context(sshd(folder / "sshd", {"PYTHONPATH": site}))
        before = os.environ["PATH"]
        stack.callback(os.environ.update, PATH=before)
        os.environ["PATH"] = f"{box.bin}{os.pathsep}{before}"
        where["ssh, this machine"] = {"place": box.address}
        yield where | {"server, over a WebSocket": {"place": f"http://127.0.0.1:{port}"}}


def _first_audio(where: Where) -> None:
    """Until Piper's first sound, the voice being loaded. They take turns, since a machine's speed drifts."""

    def first(binding: Any) -> float:
        with binding.stream_audio(TEXT, noise_scale=0, noise_w_scale=0) as stream:
            return seconds(lambda: next(stream))

    with ExitStack() as stack:
        manager = LollmsTTSBindingManager()
        there = {n: stack.enter_context(manager.require_binding("piper", **how)) for n, how in where.items()}
        taken: dict[str, list[float]] = {name: [] for name in there}
        for turn in range(16):
            for name, binding in there.items():
                took = first(binding)
                if turn:  # the first loads the voice
                    taken[name].append(took)
        for name, each in taken.items():
            ratio = statistics.median(a / b for a, b in zip(each, taken["in place"], strict=True))
            median_ms = statistics.median(each) * 1e3
            print(f"{'first audio of Piper':32} {name:24} {median_ms:9.3f} ms   {ratio:.2f} of in place", flush=True)


def _xoscar() -> dict[str, float]:
    numbers = json.dumps(dict(KINDS.values()))
    how = [uv(), "run", "--quiet", "--no-project", "--python", sys.executable, "--with", "xoscar>=0.12,<1"]
    asked = [*how, "python", "-m", "bench.xoscar_peer", numbers]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _of(binding: Any) -> Work:
    return {
        "small": lambda: binding.generate_audio("hi"),
        "large": lambda: binding.generate_audio("hi", large=True),
        "stream": lambda: list(binding.stream_audio("hi")),
    }


@contextmanager
def _grpc() -> Iterator[Work]:
    import grpc

    with peer("grpc") as port:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
        small, large = channel.unary_unary("/bench/small"), channel.unary_unary("/bench/large")
        stream = channel.unary_stream("/bench/stream")
        grpc.channel_ready_future(channel).result(10)
        yield {
            "small": lambda: small(b"hi"),
            "large": lambda: large(b"hi"),
            "stream": lambda: list(stream(b"hi")),
        }
        channel.close()
