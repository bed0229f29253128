"""Streams and awaitable twins."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lollms_modalities import (
    Audio,
    AudioChunk,
    BusyError,
    CallCancelled,
    CallOptions,
    CallTimeout,
    CancelToken,
    GenerationError,
    LollmsTTSBinding,
    current_call,
    hookimpl,
    hooks,
    report_progress,
)
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")


class Spells(LollmsTTSBinding):
    """A chunk for each letter."""

    class Options(CallOptions):
        wait: float = 0.0

    closed = 0

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        try:
            for n, letter in enumerate(text):
                until = time.monotonic() + kwargs["wait"]
                while time.monotonic() < until:
                    report_progress(n, len(text))
                    time.sleep(0.002)
                yield AudioChunk(letter.encode("utf-16-le"), 8000, text=letter)
        finally:
            self.closed += 1

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_chunks(self.stream_audio(text, voice, **kwargs))

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Whole(LollmsTTSBinding):
    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0\2\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


def test_the_whole_is_the_sum_of_its_parts() -> None:
    spells = Spells()
    stream = spells.stream_audio("abc")
    whole = Audio.from_chunks(stream)
    assert whole == spells.generate_audio("abc")
    assert whole.provenance is not None
    assert whole.provenance.binding == "Spells"
    assert "".join(chunk.text for chunk in spells.stream_audio("abc")) == "abc"


def test_a_binding_that_cannot_stream_gives_the_whole_as_one_part() -> None:
    (chunk,) = Whole().stream_audio("hi")
    assert (chunk.pcm, chunk.sample_rate, chunk.text) == (b"\1\0\2\0", 8000, "hi")


def test_arguments_are_checked_when_the_stream_is_made() -> None:
    with pytest.raises(ValueError, match="wait"):
        Spells().stream_audio("abc", wat=1)


def test_a_stream_holds_its_binding_until_it_ends(background: Spawn) -> None:
    spells = Spells()
    unused = spells.stream_audio("abc")
    assert spells.generate_audio("x"), "a stream that nobody has asked holds nothing"
    stream = spells.stream_audio("abc")
    next(stream)
    other = background(lambda: spells.generate_audio("y"))
    time.sleep(0.05)
    assert other.running
    with pytest.raises(BusyError, match="stream"):
        spells.generate_audio("z")
    assert len(list(stream)) == 2
    other.result()
    unused.close()


def test_closing_early_frees_everything() -> None:
    spells = Spells()
    with spells.stream_audio("abc") as stream:  # type: ignore[attr-defined]
        next(stream)
    assert spells.closed == 1
    assert list(stream) == []
    assert spells.generate_audio("x")
    stream.close()


def test_closed_in_another_thread_while_a_step_runs(background: Spawn) -> None:
    spells = Spells()
    stream: Any = spells.stream_audio("abc", wait=30)
    step = background(lambda: next(stream))
    while stream._stepper is None:
        time.sleep(0.001)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 5
    with pytest.raises(CallCancelled):
        step.result()
    assert spells.closed == 1
    assert list(stream) == []
    assert spells.generate_audio("x")


def test_closed_from_inside_its_own_step() -> None:
    spells = Spells()
    stream: Any = None

    def tell(_: object) -> None:
        stream.close()

    stream = spells.stream_audio("abc", wait=0.05, progress=tell)
    with pytest.raises(CallCancelled):
        next(stream)
    assert spells.closed == 1
    assert spells.generate_audio("x")


def test_asked_from_inside_its_own_step() -> None:
    stream: Any = None
    stream = Spells().stream_audio("abc", wait=0.05, progress=lambda _: next(stream))
    with pytest.raises(BusyError):
        next(stream)


def test_two_threads_share_a_stream(background: Spawn) -> None:
    stream = Spells().stream_audio("a" * 200)
    runs = [background(lambda: len(list(stream))) for _ in range(4)]
    assert sum(run.result() for run in runs) == 200


def test_a_forgotten_stream_frees_its_binding() -> None:
    spells = Spells()
    stream = spells.stream_audio("abc")
    next(stream)
    del stream
    gc.collect()
    assert spells.closed == 1
    assert spells.generate_audio("x")


def test_a_stream_that_is_out_of_time_frees_its_binding_by_itself() -> None:
    spells = Spells()
    stream = spells.stream_audio("abc", timeout=1.0)  # in which the first item comes, on a busy machine, too
    next(stream)
    wait_until(lambda: spells.closed)
    assert spells.generate_audio("x")
    with pytest.raises(CallTimeout):
        next(stream)
    assert list(stream) == []


def test_cancelled_between_steps() -> None:
    token = CancelToken()
    spells = Spells()
    stream = spells.stream_audio("abc", cancel=token)
    next(stream)
    token.cancel()
    assert spells.generate_audio("x")
    with pytest.raises(CallCancelled):
        next(stream)


def test_an_engine_failure_ends_the_stream() -> None:
    class Fails(Spells):
        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            yield AudioChunk(b"\0\0", 8000)
            raise KeyError("engine")

    fails = Fails()
    stream = fails.stream_audio("abc")
    next(stream)
    with pytest.raises(GenerationError) as caught:
        next(stream)
    assert isinstance(caught.value.__cause__, KeyError)
    assert list(stream) == []
    with pytest.raises(GenerationError):
        fails.generate_audio("abc")


def test_an_item_that_is_none_of_ours_is_told() -> None:
    class Wrong(Spells):
        def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
            yield b"pcm"  # type: ignore[misc]

    with pytest.raises(GenerationError, match="not AudioChunk"):
        next(Wrong().stream_audio("abc"))


# --- awaitable twins ------------------------------------------------------------------------------------------------


def test_twins_keep_the_loop_free() -> None:
    async def main() -> tuple[Audio, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticker = asyncio.ensure_future(tick())
        audio = await Spells().agenerate_audio("abcd", wait=0.05)
        ticker.cancel()
        return audio, ticks

    audio, ticks = asyncio.run(main())
    assert audio.duration == 4 / 8000
    assert ticks > 2, "a loop that is held up ticks once"


def test_twins_of_streams_are_async_iterators() -> None:
    async def main() -> str:
        spells = Spells()
        text = "".join([chunk.text async for chunk in spells.astream_audio("abc")])
        async with spells.astream_audio("abc") as stream:
            await anext(stream)
        assert spells.closed == 2
        assert await spells.agenerate_audio("x")
        return text

    assert asyncio.run(main()) == "abc"


async def cancelled_while_held(spells: Spells, task: asyncio.Task[Any]) -> None:
    """Cancel the task as soon as it holds the binding, which is free for the next call then."""
    while not spells._lock.holders:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(spells.agenerate_audio("x"), 5)


def test_cancelling_the_task_cancels_the_call() -> None:
    spells = Spells()

    async def main() -> None:
        await cancelled_while_held(spells, asyncio.ensure_future(spells.agenerate_audio("abc", wait=30)))

    asyncio.run(main())


def test_cancelling_a_task_that_waits_for_a_chunk_frees_the_binding() -> None:
    spells = Spells()

    async def main() -> None:
        async def consume() -> None:
            async for _ in spells.astream_audio("abc", wait=30):
                pass

        await cancelled_while_held(spells, asyncio.ensure_future(consume()))

    asyncio.run(main())


def test_fifty_tasks_on_one_instance() -> None:
    async def main() -> list[Audio]:
        spells = Spells()
        return await asyncio.gather(*(spells.agenerate_audio("a" * (n + 1)) for n in range(50)))

    assert [len(audio) for audio in asyncio.run(main())] == [44 + 2 * (n + 1) for n in range(50)]


def test_a_task_that_has_a_stream_open_is_told_instead_of_hanging() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        await anext(stream)
        with pytest.raises(BusyError):
            await spells.agenerate_audio("x")
        with pytest.raises(BusyError):
            spells.generate_audio("x")
        other = asyncio.ensure_future(asyncio.create_task(spells.agenerate_audio("y")))
        await asyncio.sleep(0.02)
        assert not other.done()
        await stream.aclose()
        await asyncio.wait_for(other, 5)

    asyncio.run(main())


def test_contexts_do_not_leak_from_twins() -> None:
    async def main() -> None:
        await Spells().agenerate_audio("x")
        assert not current_call().active
        async for _ in Spells().astream_audio("xy"):
            assert not current_call().active

    asyncio.run(main())


# --- the end of the interpreter -------------------------------------------------------------------------------------

ENDINGS = {
    "open stream": "stream = spells.stream_audio('abc'); next(stream)",
    "open stream in a global of another thread": (
        "stream = spells.stream_audio('abc', wait=0.05)\n"
        "import threading; threading.Thread(target=lambda: [None for _ in stream], daemon=True).start()\n"
        "import time; time.sleep(0.02)"
    ),
    "open async stream": (
        "import asyncio\n"
        "async def main():\n"
        "    global stream\n"
        "    stream = spells.astream_audio('abc'); await anext(stream)\n"
        "asyncio.run(main())"
    ),
    "running async call": (
        "import asyncio\n"
        "async def main():\n"
        "    asyncio.ensure_future(spells.agenerate_audio('abc', wait=60)); await asyncio.sleep(0.05)\n"
        "asyncio.run(main())"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_the_interpreter_ends_with_a_stream_open(ending: str, tmp_path: Any) -> None:
    import inspect

    program = "\n".join(
        [
            "from __future__ import annotations",
            "import time",
            "from collections.abc import Iterator",
            "from typing import Any",
            "from lollms_modalities import Audio, AudioChunk, CallOptions, LollmsTTSBinding, report_progress",
            inspect.getsource(Spells),
            "spells = Spells()",
            ending,
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


@forks
def test_a_forked_child_can_use_an_instance_that_was_busy() -> None:
    program = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lollms_modalities import Audio, LollmsTTSBinding, report_progress
class Slow(LollmsTTSBinding):
    quick = False
    def generate_audio(self, text, voice=None, **kwargs):
        until = time.monotonic() + (0 if self.quick else 5)
        while time.monotonic() < until:
            report_progress(0); time.sleep(0.01)
        return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs): return []
slow = Slow()
threading.Thread(target=lambda: slow.generate_audio("hi"), daemon=True).start()
while not slow._lock.holders: time.sleep(0.001)
child = os.fork()
if not child:
    slow.quick = True
    slow.generate_audio("hi", timeout=10)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
slow.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "7", done.stderr


@forks
def test_a_forked_child_of_a_program_that_loads_makes_its_own() -> None:
    program = """
import asyncio, os, signal, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from lollms_modalities import Audio, LollmsTTSBinding, SharedModel, UnsupportedError
loading, go_on = threading.Event(), threading.Event()
class Shares(LollmsTTSBinding):
    key = "quick"
    def load_model(self):
        return SharedModel(key=self.key, load=self.load_it)
    def load_it(self):
        loading.set()
        assert self.key == "quick" or go_on.wait(20)
        return "model"
    def generate_audio(self, text, voice=None, **kwargs):
        return Audio.from_pcm(bytes(2), 8000)
    def list_voices(self, **kwargs): return []
class Slow(Shares):
    key = "slow"
loaded, slow = Shares(), Slow()
asyncio.run(loaded.agenerate_audio("hi", timeout=20))
loading.clear()
threading.Thread(target=slow.load, daemon=True).start()
assert loading.wait(10)
child = os.fork()
if not child:
    signal.alarm(20)
    go_on.set()
    for ask in (loaded.load, lambda: loaded.generate_audio("hi"), lambda: asyncio.run(loaded.agenerate_audio("hi"))):
        try: ask()
        except UnsupportedError as exc: assert "forked" in str(exc)
        else: os._exit(1)
    for own in (Shares(), Slow(), slow):
        asyncio.run(own.agenerate_audio("hi", timeout=10))
        own.close()
    loaded.close()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go_on.set()
slow.generate_audio("hi")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert done.stdout.strip() == "7", done.stderr


def test_threads_of_twins_are_daemons_and_few() -> None:
    before = threading.active_count()

    async def main() -> None:
        spells = Spells()
        for _ in range(20):
            await spells.agenerate_audio("x")

    asyncio.run(main())
    assert threading.active_count() - before <= 2


def test_a_stop_after_the_last_look_of_a_step_frees_the_binding() -> None:
    spells, token = Spells(), CancelToken()

    class Late:
        @hookimpl
        def lollms_stream_chunk(self) -> None:
            token.cancel()

    late = Late()
    hooks.register(late)
    try:
        stream = spells.stream_audio("abc", cancel=token)
        assert next(stream).text == "a"
    finally:
        hooks.unregister(late)
    assert spells.closed == 1
    assert not spells._lock.holders
    with pytest.raises(CallCancelled):
        next(stream)
