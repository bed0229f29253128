"""The same binding at several places, in one run: here, in a process, behind ``lollms serve``; and beside grpc."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import LollmsTTSBindingManager

from bench.idle_binding import install
from bench.isolation import median, peer
from bench.serving import served

Work = dict[str, Callable[[], object]]
KINDS = {
    "call of a no-op binding, p50": ("small", 1000),
    "10 MB result": ("large", 20),
    "1,000 stream items": ("stream", 10),
}


def places() -> None:
    """A no-op call, a large result and a stream at each place; the ratio is to grpc in the same run."""
    with tempfile.TemporaryDirectory() as folder:
        site = str(install(Path(folder)))
        manager = LollmsTTSBindingManager(site)
        with served(Path(folder), site) as (port, _), _everywhere(manager, port) as work:
            for what, (kind, number) in KINDS.items():
                taken = {where: median(fns[kind], number) for where, fns in work.items()}
                for where, seconds in taken.items():
                    told = f"{seconds * 1e3:9.3f} ms   {seconds / taken['grpc']:6.2f} of grpc"
                    print(f"{what:32} {where:24} {told}", flush=True)


@contextmanager
def _everywhere(manager: LollmsTTSBindingManager, port: int) -> Iterator[dict[str, Work]]:
    where: dict[str, dict[str, Any]] = {
        "in place": {},
        "process": {"isolated": True},
        "server, over a WebSocket": {"place": f"http://127.0.0.1:{port}"},
    }
    with ExitStack() as stack, _grpc() as grpc:
        work: dict[str, Work] = {}
        for name, options in where.items():
            work[name] = _of(stack.enter_context(manager.require_binding("idle", **options)))
        yield work | {"grpc": grpc}


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
