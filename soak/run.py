"""Many calls: memory, threads and descriptors must not grow. Prints a table; exit 1 where something grows."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import psutil
from lollms_modalities import Audio, AudioChunk, CallCancelled, CallOptions, CancelToken, LollmsTTSBinding, Speed
from lollms_piper import PiperTTSBinding

MEMORY = 8.0  # MB that may come and go with the allocator
PIPER_MEMORY = 60.0  # onnxruntime's arena grows with the longest sentence so far
COUNT = 3  # threads and descriptors


class Use(NamedTuple):
    """What the process holds."""

    memory: float  # MB
    threads: int
    descriptors: int


def use() -> Use:
    gc.collect()
    process = psutil.Process()
    return Use(process.memory_info().rss / 1e6, threading.active_count(), process.num_fds())


class NoOp(LollmsTTSBinding):
    """Gives nothing, in every way."""

    class Options(CallOptions):
        speed: Speed = 1.0

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\0\0" * 1000, 8000)

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any:
        for _ in range(3):
            yield AudioChunk(b"\0\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def no_op_calls(count: int) -> None:
    """Plain, with options and a time limit, streamed whole and in part, cancelled, forgotten, awaited."""
    binding = NoOp(keep_alive=100)
    cancelled = CancelToken()
    cancelled.cancel()

    async def twins(number: int) -> None:
        for _ in range(number):
            await binding.agenerate_audio("hi")
            async for _ in binding.astream_audio("hi"):
                pass

    for _ in range(count // 10):
        for _ in range(3):
            _ = binding.generate_audio("hi").provenance
        binding.generate_audio("hi", speed=2, timeout=3600, progress=bool, cancel=CancelToken())
        list(binding.stream_audio("hi"))
        next(binding.stream_audio("hi"))
        with binding.stream_audio("hi", timeout=3600) as stream:
            next(stream)
        with suppress(CallCancelled):
            binding.generate_audio("hi", cancel=cancelled)
        asyncio.run(twins(1))


def piper_calls(count: int) -> None:
    """Sentences of several lengths, whole and streamed."""
    with PiperTTSBinding() as binding:
        for n in range(count):
            text = "A number of words. " * (1 + n % 5)
            binding.generate_audio(text) if n % 2 else list(binding.stream_audio(text))


def soak(name: str, run: Callable[[int], None], count: int, memory: float) -> bool:
    run(max(20, count // 5))  # what is made once is made
    before, start = use(), time.perf_counter()
    run(count)
    taken, after = time.perf_counter() - start, use()
    fine = (
        after.memory - before.memory <= memory
        and after.threads - before.threads <= COUNT
        and after.descriptors - before.descriptors <= COUNT
    )
    print(
        f"{name:10} {count:6} calls in {taken:6.1f} s   memory {before.memory:.1f} -> {after.memory:.1f} MB   "
        f"threads {before.threads} -> {after.threads}   descriptors {before.descriptors} -> {after.descriptors}   "
        f"{'no growth' if fine else 'GROWS'}",
        flush=True,
    )
    return fine


def main() -> int:
    fine = [soak("no-op", no_op_calls, 10_000, MEMORY), soak("Piper", piper_calls, 200, PIPER_MEMORY)]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
