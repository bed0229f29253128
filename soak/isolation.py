"""Workers killed at random moments, hosts killed, many calls and much data: nothing hangs, is left, or grows.

``python soak/isolation.py`` takes minutes; ``--short`` is what the tests run. Exit 1 where a promise is broken.
"""

from __future__ import annotations

import gc
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from lollms_modalities import Audio, LollmsTTSBindingManager, WorkerCrashedError
from lollms_modalities.workers.policy import WorkerPolicy

NASTY = Path(__file__).parents[1] / "lollms-modalities-core/tests/support/nasty_bindings.py"
SEEN = 0.5  # seconds within which a death must be seen; the goal is a tenth of that


def install(folder: Path) -> Path:
    """The nasty bindings of the core's tests as a distribution."""
    shutil.copy(NASTY, folder)
    info = folder / "nasty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nasty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lollms_client.tts_bindings]\nnasty = nasty_bindings:NastyTTSBinding\n")
    return folder


def open_nasty(folder: Path, **policy: Any) -> Any:
    kept = WorkerPolicy(grace=1.0, **policy)
    return LollmsTTSBindingManager(folder).require_binding("nasty", isolated=True, policy=kept)


def samples(audio: Audio) -> bytes:
    """What is heard of it: a plug-in may have marked it."""
    with wave.open(io.BytesIO(audio)) as file:
        return bytes(file.readframes(file.getnframes()))


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Use(NamedTuple):
    """What a process holds."""

    memory: float  # MB
    threads: int
    descriptors: int


def use(pid: int | None = None) -> Use:
    gc.collect()
    process = psutil.Process(pid)
    return Use(process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())


def kills(folder: Path, count: int) -> bool:
    """Kill the worker at random moments of calls, streams and loads."""
    rng = random.Random(7)
    killed_at = [0.0]

    def stream(tts: Any) -> None:
        for _ in tts.stream_audio("hi", do="sleep", seconds=0.005, count=60):
            pass

    def reload(tts: Any) -> None:
        tts.unload()
        tts.load()
        tts.generate_audio("hi", do="sleep", seconds=0.1)

    kinds: list[Callable[[Any], object]] = [
        lambda tts: tts.generate_audio("hi", do="sleep", seconds=0.3),
        lambda tts: tts.generate_audio("hi", do="size", size=60_000_000),
        stream,
        reload,
    ]
    slowest, seen, wrong = 0.0, 0, 0
    before = use()
    with open_nasty(folder) as tts:
        for n in range(count):
            tts.generate_audio("hi")  # the next call after each death is right
            (worker,) = tts._workers.all()

            def kill(pid: int = worker.process.pid) -> None:
                killed_at[0] = time.monotonic()
                os.kill(pid, signal.SIGKILL)

            timer = threading.Timer(rng.uniform(0.0, 0.25), kill)
            timer.start()
            try:
                kinds[n % len(kinds)](tts)
            except WorkerCrashedError:
                took = time.monotonic() - killed_at[0]
                slowest, seen = max(slowest, took), seen + 1
            timer.join()
            while worker.alive:  # killed after the work was done
                time.sleep(0.001)
            wrong += samples(tts.generate_audio(f"{n}")) != f"{n}".encode("utf-16-le")
    time.sleep(0.3)
    after, left = use(), psutil.Process().children(recursive=True)
    workers = [p for p in left if "workers.worker" in " ".join(p.cmdline())]
    fine = slowest <= SEEN and not wrong and not workers and after.descriptors <= before.descriptors + 3
    print(
        f"{count} kills of workers: {seen} in a call, seen within {slowest * 1e3:.0f} ms (goal 50), {wrong} wrong "
        f"answers, {len(workers)} left   {before} -> {after}   {'fine' if fine else 'BROKEN'}", flush=True
    )  # fmt: skip
    return fine


HOST = """
import sys
from lollms_modalities import LollmsTTSBindingManager
tts = LollmsTTSBindingManager(sys.argv[1]).require_binding("nasty", isolated=True)
print(tts.generate_audio("hi").provenance.usage["pid"], flush=True)
tts.generate_audio("hi", do=sys.argv[2], seconds=1000)
"""


def host_kills(folder: Path, count: int) -> bool:
    """Kill the host while its worker is deep in native code."""
    slowest, left = 0.0, 0
    for n in range(count):
        do = ("sleep with the GIL", "sleep", "wait")[n % 3]
        command = [sys.executable, "-c", HOST, str(folder), do]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as host:
            assert host.stdout is not None
            pid = int(host.stdout.readline())
            time.sleep(random.uniform(0.0, 0.1))
            host.kill()
            began = time.monotonic()
            while not gone(pid) and time.monotonic() - began < 5:
                time.sleep(0.01)
            slowest, left = max(slowest, time.monotonic() - began), left + (not gone(pid))
    fine = slowest <= 2.0 and not left
    print(f"{count} kills of hosts: workers gone within {slowest:.2f} s (limit 2), {left} left   "
          f"{'fine' if fine else 'BROKEN'}", flush=True)  # fmt: skip
    return fine


def growth(folder: Path, calls: int, gigabytes: float) -> bool:
    """Many small calls, and much data in results of 10 MB."""
    fine = True
    with open_nasty(folder) as tts:
        pid = tts.generate_audio("hi").provenance.usage["pid"]
        kinds: list[tuple[str, Callable[[], object], int]] = [
            ("small calls", lambda: tts.generate_audio("hi"), calls),
            ("results of 10 MB", lambda: tts.generate_audio("hi", do="size", size=10_000_000), int(gigabytes * 100)),
        ]
        for what, run, number in kinds:
            for _ in range(max(20, number // 20)):
                run()
            before, began = (use(), use(pid)), time.monotonic()
            for _ in range(number):
                run()
            taken, after = time.monotonic() - began, (use(), use(pid))
            grown = [b.memory - a.memory for a, b in zip(before, after, strict=True)]
            same = all(b.threads <= a.threads + 2 and b.descriptors <= a.descriptors + 2
                       for a, b in zip(before, after, strict=True))  # fmt: skip
            well = max(grown) <= 25 and same
            fine = fine and well
            print(
                f"{number} {what} in {taken:.1f} s   host {before[0]} -> {after[0]}   worker {before[1]} -> {after[1]}"
                f"   {'no growth' if well else 'GROWS'}", flush=True
            )  # fmt: skip
    return fine


def main() -> int:
    short = "--short" in sys.argv
    with tempfile.TemporaryDirectory() as name:
        folder = install(Path(name))
        fine = [
            kills(folder, 12 if short else 200),
            host_kills(folder, 3 if short else 20),
            growth(folder, 2000 if short else 100_000, 0.5 if short else 10),
        ]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
