"""A binding in another process: what that costs over one in place, and what others take for the same."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lollms_modalities import CallCancelled, CancelToken, LollmsTTSBinding, LollmsTTSBindingManager

from bench.harness import paired, seconds, show, show_extra, without_plugins
from bench.idle_binding import install

TEXT = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It's easy to tell the depth of a well. These days a chicken leg is a rare dish. "
)


@contextmanager
def peer(kind: str) -> Iterator[int]:
    """The port of a server of that kind."""
    process = subprocess.Popen([sys.executable, "-m", "bench.peers", kind], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def median(fn: Callable[[], object], number: int) -> float:
    """Median of so many runs, in seconds, after a few that are not counted."""
    for _ in range(max(1, number // 20)):
        fn()
    return statistics.median(seconds(fn) for _ in range(number))


Work = dict[str, Callable[[], object]]


@contextmanager
def all_three(binding: LollmsTTSBinding) -> Iterator[dict[str, Work]]:
    """The same work by ours, grpc and FastAPI."""
    import grpc
    import httpx

    with peer("grpc") as grpc_port, peer("fastapi") as http_port:
        options = [("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}", options=options)
        small, large = channel.unary_unary("/bench/small"), channel.unary_unary("/bench/large")
        stream = channel.unary_stream("/bench/stream")
        grpc.channel_ready_future(channel).result(10)
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30) as client:
            until = time.monotonic() + 10
            while True:
                try:
                    client.post("/small?text=hi")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until
                    time.sleep(0.05)

            def http_stream() -> None:
                with client.stream("POST", "/stream?text=hi") as answer:
                    list(answer.iter_raw())

            yield {
                "ours": {
                    "small": lambda: binding.generate_audio("hi"),
                    "large": lambda: binding.generate_audio("hi", large=True),
                    "stream": lambda: list(binding.stream_audio("hi")),
                },
                "grpc": {
                    "small": lambda: small(b"hi"),
                    "large": lambda: large(b"hi"),
                    "stream": lambda: list(stream(b"hi")),
                },
                "FastAPI": {
                    "small": lambda: client.post("/small?text=hi").content,
                    "large": lambda: client.post("/large?text=hi").content,
                    "stream": http_stream,
                },
            }
        channel.close()


@without_plugins("marks")
def transport(manager: LollmsTTSBindingManager) -> None:
    """Calls, large results and streams beside grpc and FastAPI."""
    goals = {"small": (2000, 120e-6), "large": (30, 0.040), "stream": (30, 0.100)}
    names = {"small": "call of a no-op binding, p50", "large": "10 MB result", "stream": "1,000 small stream items"}
    with manager.require_binding("idle", isolated=True) as binding, all_three(binding) as work:
        for kind, (number, goal) in goals.items():
            taken = {who: median(fns[kind], number) for who, fns in work.items()}
            others = ", ".join(f"{who} {taken[who] * 1e3:.3f} ms" for who in ("grpc", "FastAPI"))
            show_extra(f"isolated: {names[kind]}", taken["ours"], goal, 1e3, "ms", others)


def life(manager: LollmsTTSBindingManager) -> None:
    """Starting, stopping, and two workers."""

    def start() -> None:
        manager.require_binding("idle", isolated=True).close()

    bare = statistics.median(
        seconds(lambda: subprocess.run([sys.executable, "-c", "import pydantic"])) for _ in range(7)
    )
    taken = statistics.median(seconds(start) for _ in range(7))
    how = f"python -c 'import pydantic' takes {bare * 1e3:.0f} ms"
    show_extra("isolated: start and stop of a worker", taken, 1.0, 1e3, "ms", how)

    cancelled = []
    with manager.require_binding("idle", isolated=True) as binding:
        for _ in range(20):
            token = CancelToken()
            moment: list[float] = []

            def cancel(token: CancelToken = token, moment: list[float] = moment) -> None:
                moment.append(time.perf_counter())
                token.cancel()

            timer = threading.Timer(0.05, cancel)
            timer.start()
            try:
                binding.generate_audio("hi", wait=60.0, cancel=token)
            except CallCancelled:
                cancelled.append(time.perf_counter() - moment[0])
        show_extra("isolated: cancel until the call has ended", max(cancelled), 0.1, 1e3, "ms", "the slowest of 20")

    def work(binding: Any, threads: int) -> float:
        def many() -> None:
            for _ in range(4 // threads):
                binding.generate_audio("hi", work=3_000_000)

        running = [threading.Thread(target=many) for _ in range(threads)]
        began = time.perf_counter()
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return time.perf_counter() - began

    with manager.require_binding("idle", isolated=True, pool=2) as binding:
        binding.load()
        pair = paired(lambda: work(binding, 2), lambda: work(binding, 1), pairs=7)
        verdict = "met" if 1 / pair.ratio >= 1.8 else "MISSED"
        print(
            f"{'isolated: two workers on two cores':44} {1 / pair.ratio:.2f} times one "
            f"({1 / pair.high:.2f} to {1 / pair.low:.2f}), goal 1.8: {verdict}", flush=True
        )  # fmt: skip


def piper() -> None:
    """Piper in another process against in place."""
    plain: dict[str, Any] = {"noise_scale": 0, "noise_w_scale": 0}
    manager = LollmsTTSBindingManager()
    with manager.require_binding("piper") as here, manager.require_binding("piper", isolated=True) as there:

        def first(binding: Any) -> float:
            with binding.stream_audio(TEXT, **plain) as stream:
                return seconds(lambda: next(stream))

        assert here.generate_audio(TEXT, **plain) == there.generate_audio(TEXT, **plain)
        whole = paired(
            lambda: seconds(lambda: there.generate_audio(TEXT, **plain)),
            lambda: seconds(lambda: here.generate_audio(TEXT, **plain)),
            pairs=15,
        )
        show("isolated: Piper, whole", "in place", whole, 1.03)
        pair = paired(lambda: first(there), lambda: first(here), pairs=31)
        show("isolated: Piper, first audio", "in place", pair, 1.03)


def isolation() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        manager = LollmsTTSBindingManager(install(Path(folder)))
        transport(manager)
        life(manager)
    piper()
