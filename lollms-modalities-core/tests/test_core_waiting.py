"""Who waits for whom: a call is refused where it would wait for ever, and nowhere else."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from lollms_modalities import Audio, AudioChunk, BusyError, LollmsTTSBinding
from lollms_modalities.calls.locks import _Waiter
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
Run = Callable[..., Callable[[], Any]]


class Spells(LollmsTTSBinding):
    """A chunk for each letter."""

    def stream_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Iterator[AudioChunk]:
        for letter in text:
            yield AudioChunk(letter.encode("utf-16-le"), 8000, text=letter)

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        return Audio.from_pcm(b"\1\0", 8000)

    def list_voices(self, **kwargs: Any) -> list[str]:
        return []


class Asks(Spells):
    """Asks another binding in the middle of its own call, when both are in the middle of one."""

    other: LollmsTTSBinding
    meet: threading.Barrier

    def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Audio:
        if text != "inner":
            self.meet.wait(10)
            self.other.generate_audio("inner")
        return super().generate_audio(text)


def executor(stack: ExitStack, _: Spawn) -> Run:
    pool = stack.enter_context(ThreadPoolExecutor(1))
    return lambda fn, *args: pool.submit(fn, *args).result


def thread_pool(stack: ExitStack, _: Spawn) -> Run:
    pool = stack.enter_context(ThreadPool(1))

    def run(fn: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        result = pool.apply_async(fn, args)
        return lambda: result.get(10)

    return run


def own_loop(_: ExitStack, background: Spawn) -> Run:
    jobs: queue.Queue[Any] = queue.Queue()
    results: queue.Queue[Any] = queue.Queue()

    def serve() -> None:
        while True:
            fn, args = jobs.get()
            try:
                results.put(fn(*args))
            except BaseException as exc:
                results.put(exc)

    def run(fn: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        jobs.put((fn, args))
        return lambda: results.get(timeout=10)

    background(serve)
    return run


@pytest.mark.parametrize("pool", [executor, thread_pool, own_loop])
def test_the_next_work_of_a_pool_s_thread_does_not_own_the_stream(
    pool: Callable[[ExitStack, Spawn], Run], background: Spawn
) -> None:
    spells = Spells()
    with ExitStack() as stack:
        run = pool(stack, background)
        stream: Any = run(spells.stream_audio, "abc")()
        assert run(next, stream)().text == "a"
        asked = run(spells.generate_audio, "x")
        wait_until(lambda: spells._lock._waiters)
        stream.close()
        assert isinstance(asked(), Audio)


def test_work_by_one_function_is_told_apart_by_its_job() -> None:
    spells = Spells()
    stream: Any = spells.stream_audio("abc")

    def serve(what: str) -> Any:
        return next(stream) if what == "next" else spells.generate_audio("x")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, "next").result(10)
        asked = pool.submit(serve, "ask")
        wait_until(lambda: spells._lock._waiters)
        stream.close()
        assert isinstance(asked.result(10), Audio)


def test_requests_of_a_web_framework() -> None:
    async def main() -> list[Any]:
        spells = Spells()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(100))

        async def streams() -> int:
            chunks = iter(spells.stream_audio("abc"))
            n = 0
            while await asyncio.to_thread(next, chunks, None) is not None:
                n += 1
            return n

        async def whole() -> Audio:
            return await asyncio.to_thread(spells.generate_audio, "x")

        requests: list[Any] = [streams() if n % 2 else whole() for n in range(60)]
        return await asyncio.gather(*requests)

    found = asyncio.run(asyncio.wait_for(main(), 50))
    assert [r for r in found if isinstance(r, int)] == [3] * 30


def test_a_thread_with_the_ident_of_one_that_ended_owns_nothing() -> None:
    spells = Spells()
    stream: Any = spells.stream_audio("abc")
    idents: list[int] = []
    found: list[Any] = []

    def step() -> None:
        idents.append(threading.get_ident())
        next(stream)

    def ask() -> None:
        if threading.get_ident() in idents:
            try:
                found.append(spells.generate_audio("x"))
            except BusyError as exc:
                found.append(exc)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    for _ in range(200):  # an ident is soon given again
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        wait_until(lambda asking=thread: not asking.is_alive() or spells._lock._waiters)  # type: ignore[misc]
        if found or spells._lock._waiters:
            break
    stream.close()
    thread.join(10)
    assert all(isinstance(answer, Audio) for answer in found)


# --- refused, where it would be for ever ----------------------------------------------------------------------------


def opened(spells: Spells) -> Any:
    stream = spells.stream_audio("abc")
    next(stream)
    return stream


def wrapped(spells: Spells) -> Iterator[AudioChunk]:
    yield from spells.stream_audio("abc")


def after_a_step(spells: Spells) -> None:
    stream = opened(spells)
    spells.generate_audio("x")
    stream.close()


def in_a_loop(spells: Spells) -> None:
    for _ in spells.stream_audio("abc"):
        spells.generate_audio("x")


def in_a_loop_over_a_generator(spells: Spells) -> None:
    for _ in wrapped(spells):
        spells.unload()


@pytest.mark.parametrize("use", [after_a_step, in_a_loop, in_a_loop_over_a_generator])
@pytest.mark.parametrize("where", ["here", "thread", "job"])
def test_who_has_the_stream_is_told(use: Callable[[Spells], None], where: str, background: Spawn) -> None:
    spells = Spells()

    def run() -> None:
        if where == "here":
            use(spells)
        elif where == "thread":
            background(lambda: use(spells)).result()
        else:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(use, spells).result(10)

    with pytest.raises(BusyError):
        run()


def test_an_item_that_wait_for_has_waited_for_is_its_task_s() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        assert (await asyncio.wait_for(anext(stream), 10)).text == "a"
        async with asyncio.timeout(10):
            with pytest.raises(BusyError):
                await spells.agenerate_audio("x")
        await stream.aclose()

    asyncio.run(main())


async def awaited(asked: Coroutine[Any, Any, Audio]) -> Audio:
    return await asked


async def generated(asked: Coroutine[Any, Any, Audio]) -> Audio:
    async def items() -> AsyncIterator[Audio]:
        yield await asyncio.wait_for(asked, 60)

    async for item in items():
        return item
    raise AssertionError


async def gathered(*asked: Coroutine[Any, Any, Any]) -> Any:
    return (await asyncio.gather(*asked))[0]


async def grouped(*asked: Coroutine[Any, Any, Any]) -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in asked]
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None
    return tasks[0].result()


async def waited(asked: Coroutine[Any, Any, Audio]) -> Audio:
    done, _ = await asyncio.wait([asyncio.create_task(asked)])
    return done.pop().result()


async def as_completed(asked: Coroutine[Any, Any, Audio]) -> Audio:
    for each in asyncio.as_completed([asked]):
        return await each
    raise AssertionError


async def later(asked: Coroutine[Any, Any, Audio]) -> Audio:
    task = asyncio.create_task(asked)
    await asyncio.sleep(0.05)
    return await task


ASKED: dict[str, Callable[[Coroutine[Any, Any, Audio]], Coroutine[Any, Any, Audio]]] = {
    "await": awaited,
    "wait_for": lambda asked: asyncio.wait_for(asked, 60),
    "a helper in wait_for": lambda asked: asyncio.wait_for(awaited(asked), 60),
    "wait_for in wait_for": lambda asked: asyncio.wait_for(asyncio.wait_for(asked, 60), 60),
    "wait_for in an asynchronous generator": generated,
    "a task": lambda asked: awaited(asyncio.create_task(asked)),  # type: ignore[arg-type]
    "wait_for a task": lambda asked: asyncio.wait_for(asyncio.create_task(asked), 60),
    "gather": lambda asked: gathered(asked),
    "gather, with another that ends": lambda asked: gathered(asked, asyncio.sleep(0)),
    "gather in gather in wait_for": lambda asked: asyncio.wait_for(asyncio.gather(gathered(asked)), 60),  # type: ignore[arg-type, return-value]
    "a group": lambda asked: grouped(asked, asyncio.sleep(0)),
    "wait": lambda asked: waited(asked),
    "as_completed": lambda asked: as_completed(asked),
    "a task that is awaited later": lambda asked: later(asked),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("kind", ["stream_audio", "astream_audio"])
def test_what_the_task_that_has_the_stream_awaits_is_refused(
    ask: Callable[[Coroutine[Any, Any, Audio]], Coroutine[Any, Any, Audio]], kind: str
) -> None:
    async def main() -> None:
        spells = Spells()
        stream: Any = getattr(spells, kind)("abc")
        first = await anext(stream) if kind == "astream_audio" else next(stream)
        assert first.text == "a"
        async with asyncio.timeout(10):
            with pytest.raises(BusyError):
                await ask(spells.agenerate_audio("x"))
        await stream.aclose() if kind == "astream_audio" else stream.close()

    asyncio.run(main())


def test_two_that_are_gathered_are_refused_though_neither_alone_would_be() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        await anext(stream)
        async with asyncio.timeout(10):
            both = spells.agenerate_audio("x"), spells.agenerate_audio("y")
            found = await asyncio.gather(*both, return_exceptions=True)
            assert BusyError in [type(each) for each in found]
        await stream.aclose()

    asyncio.run(main())


def test_a_thread_that_the_task_awaits_is_refused() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        await anext(stream)
        async with asyncio.timeout(10):
            with pytest.raises(BusyError):
                await asyncio.to_thread(spells.generate_audio, "x", timeout=9)
        await stream.aclose()

    asyncio.run(main())


def test_what_is_gathered_with_who_takes_the_rest_waits_for_it() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        await anext(stream)

        async def rest() -> list[str | None]:
            await asyncio.sleep(0.6)  # longer than until it is looked at again
            return [chunk.text async for chunk in stream]

        async with asyncio.timeout(10):
            audio, texts = await asyncio.gather(spells.agenerate_audio("x"), rest())
        assert isinstance(audio, Audio)
        assert texts == ["b", "c"]

    asyncio.run(main())


def test_a_task_that_is_begun_and_not_awaited_waits_for_the_stream() -> None:
    async def main() -> None:
        spells = Spells()
        stream = spells.astream_audio("abc")
        await anext(stream)
        asked = asyncio.create_task(spells.agenerate_audio("x"))
        with pytest.raises(TimeoutError):  # which leaves what it shields alone
            await asyncio.wait_for(asyncio.shield(asked), 0.05)
        assert [chunk.text async for chunk in stream] == ["b", "c"]
        assert isinstance(await asyncio.wait_for(asked, 10), Audio)

    asyncio.run(main())


@pytest.mark.parametrize("number", [2, 3])
def test_of_calls_that_would_wait_for_each_other_one_is_refused(number: int, background: Spawn) -> None:
    ring = [Asks() for _ in range(number)]
    meet = threading.Barrier(number)
    for n, binding in enumerate(ring):
        binding.other, binding.meet = ring[(n + 1) % number], meet

    def call(binding: Asks) -> str:
        try:
            return type(binding.generate_audio("outer")).__name__
        except BusyError:
            return "busy"

    runs = [background(lambda b=binding: call(b)) for binding in ring]  # type: ignore[misc]
    assert sorted(run.result() for run in runs) == ["Audio"] * (number - 1) + ["busy"]
    assert all(not binding._lock.holders and not binding._lock._waiters for binding in ring)


def test_two_open_streams_whose_owners_ask_crosswise(background: Spawn) -> None:
    one, two = Spells(), Spells()
    meet = threading.Barrier(2)

    def use(mine: Spells, other: Spells) -> str:
        with mine.stream_audio("abc") as stream:  # type: ignore[attr-defined]
            next(stream)
            meet.wait(10)
            try:
                other.generate_audio("x")
            except BusyError:
                return "busy"
        return "ok"

    runs = [background(lambda: use(one, two)), background(lambda: use(two, one))]
    assert sorted(run.result() for run in runs) == ["busy", "ok"]


def test_of_two_that_would_wait_for_each_other_the_later_is_refused(background: Spawn) -> None:
    one, two = Spells(), Spells()
    held, go_on = threading.Event(), threading.Event()

    def first() -> str:
        with one.stream_audio("abc") as stream:  # type: ignore[attr-defined]
            next(stream)
            two.generate_audio("x")
        return "served"

    def second() -> str:
        with two.stream_audio("abc") as stream:  # type: ignore[attr-defined]
            next(stream)
            held.set()
            assert go_on.wait(10)
            with pytest.raises(BusyError):
                one.generate_audio("x")
        return "refused"

    later = background(second)
    assert held.wait(10)
    earlier = background(first)
    wait_until(lambda: two._lock._waiters)
    go_on.set()
    assert (earlier.result(), later.result()) == ("served", "refused")


def test_a_slot_that_comes_free_is_waited_for(background: Spawn) -> None:
    class Two(Asks):
        concurrency = 2

    both, other = Two(), Asks()
    meet = threading.Barrier(2)
    both.other, both.meet, other.other, other.meet = other, meet, both, meet
    runs = [background(lambda: both.generate_audio("a")), background(lambda: other.generate_audio("b"))]
    assert all(isinstance(run.result(), Audio) for run in runs)


def test_who_waits_looks_once_at_each_who_waits(background: Spawn) -> None:
    spells = Spells()
    stream: Any = spells.stream_audio("abc")
    background(lambda: next(stream)).result()
    runs: list[Any] = []

    def ask_beside(number: int) -> float:
        while len(runs) < number:
            runs.append(background(lambda: spells.generate_audio("x")))
        wait_until(lambda: len(spells._lock._waiters) == number)
        looks.clear()
        runs.append(background(lambda: spells.generate_audio("x")))
        wait_until(lambda: len(spells._lock._waiters) == number + 1)
        return len(looks)

    looks: list[Any] = []
    keeps = _Waiter.keeps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Waiter, "keeps", lambda self, holder: looks.append(holder) or keeps(self, holder))
        assert [ask_beside(20), ask_beside(60)] == [21, 61]
    stream.close()
    assert all(isinstance(run.result(), Audio) for run in runs)
