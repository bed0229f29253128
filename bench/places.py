"""The same binding at several places, in one run: here, in a process, behind ``lollms serve``; and beside grpc and
xoscar. A place has a row in ``_everywhere``."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import LollmsTTSBindingManager

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
Where = dict[str, dict[str, Any]]


@without_plugins("marks")
def places() -> None:
    """A no-op call, a large result, a stream and a first sound at each place; the ratio is to grpc in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        manager = LollmsTTSBindingManager(site)
        with served(Path(folder), site) as (port, _):
            where = _everywhere(port)
            _work(manager, where)
            _first_audio(where)


def _work(manager: LollmsTTSBindingManager, where: Where) -> None:
    with ExitStack() as stack, _grpc() as grpc:
        work = {n: _of(stack.enter_context(manager.require_binding("idle", **how))) for n, how in where.items()}
        work["grpc"] = grpc
        xoscar = _xoscar()
        for what, (kind, number) in KINDS.items():
            taken = {name: median(fns[kind], number) for name, fns in work.items()} | {"xoscar": xoscar[kind]}
            for name, each in taken.items():
                told = f"{each * 1e3:9.3f} ms   {each / taken['grpc']:6.2f} of grpc"
                print(f"{what:32} {name:24} {told}", flush=True)
            if kind == "small":
                how = f"{taken['process'] / taken['grpc']:.2f} of grpc (goal 0.25)"
                show_extra("a call to a process", taken["process"], 120e-6, 1e6, "us", how)


def _everywhere(port: int) -> Where:
    return {
        "in place": {},
        "process": {"isolated": True},
        "server, over a WebSocket": {"place": f"http://127.0.0.1:{port}"},
    }


def _first_audio(where: Where) -> None:
    """Until Piper's first sound, the voice being loaded."""
    for name, how in where.items():
        with LollmsTTSBindingManager().require_binding("piper", **how) as binding:

            def first(binding: Any = binding) -> float:
                with binding.stream_audio(TEXT, noise_scale=0, noise_w_scale=0) as stream:
                    return seconds(lambda: next(stream))

            first()
            taken = statistics.median(first() for _ in range(15))
            print(f"{'first audio of Piper':32} {name:24} {taken * 1e3:9.3f} ms", flush=True)


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
