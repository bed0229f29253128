"""Workers under races, at ends and in hostile moments: starts, pools, settings, the collector, what is printed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import psutil
import pytest
from distributions import install
from interrupts import interrupted_at
from lollms_modalities import (
    BindingClosedError,
    BusyError,
    CallCancelled,
    CallTimeout,
    CancelToken,
    LollmsTTSBinding,
    LollmsTTSBindingManager,
    WorkerCrashedError,
    WorkerRestartError,
    hookimpl,
    hooks,
)
from lollms_modalities.workers.channel import Channel
from lollms_modalities.workers.host import Worker
from lollms_modalities.workers.losses import Losses
from lollms_modalities.workers.output import Output
from lollms_modalities.workers.policy import WorkerPolicy
from lollms_modalities.workers.pool import Workers
from lollms_modalities.workers.protocol import HEAD
from lollms_modalities.workers.turns import creating
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
SOURCE = Path(__file__).parent / "support" / "odd_bindings.py"
QUICK = WorkerPolicy(grace=0.5)
TWO = WorkerPolicy(grace=0.5, pool=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The odd bindings as an installed distribution."""
    folder = tmp_path_factory.mktemp("uneven") / "site"
    points = "uneven = odd_bindings:OddTTSBinding\nuneven8 = odd_bindings:OddConcurrentTTSBinding\n"
    install(folder, "uneven", f"[lollms_client.tts_bindings]\n{points}")
    shutil.copy(SOURCE, folder)
    return folder


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., Any]]:
    """Makes isolated bindings that are closed at the end."""
    made: list[Any] = []

    def make(name: str = "uneven", policy: WorkerPolicy = QUICK, **settings: Any) -> Any:
        made.append(LollmsTTSBindingManager(folder).require_binding(name, isolated=True, policy=policy, **settings))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that is there: what waits for it goes on."""
    path = tmp_path / "gate"
    path.touch()
    return path


def kill(tts: Any) -> None:
    """Every worker dies, and the host knows it."""
    for worker in tts._workers.all():
        os.kill(worker.process.pid, signal.SIGKILL)
        wait_until(lambda worker=worker: not worker.alive)  # type: ignore[misc]


def worker_pids() -> set[int]:
    """Of the workers of this process that live."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            if "lollms_modalities.workers.worker" in child.cmdline():  # which one that has ended has no more
                found.add(child.pid)
    return found


def said(tts: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    extra: dict[str, Any] = tts.generate_audio(*(args or ("hi",)), **kwargs).provenance.extra
    return extra


# --- starting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["list_voices", "generate_audio"])
def test_who_comes_while_a_worker_starts_waits_for_it(
    opened: Callable[..., Any], background: Spawn, gate: Path, ask: str
) -> None:
    tts = opened("uneven8", gate=gate)
    gate.unlink()
    kill(tts)
    asked = [background(lambda: getattr(tts, ask)(*(["hi"] if ask == "generate_audio" else []))) for _ in range(8)]
    wait_until(lambda: len(tts._workers._waiting) == 7)
    assert len(tts._workers._workers) == 1
    gate.touch()
    assert all(a.result(30) for a in asked)


def test_threads_that_ask_while_workers_wear_out(opened: Callable[..., Any], background: Spawn) -> None:
    tts = opened("uneven8", WorkerPolicy(grace=0.5, max_calls=3, idle_timeout=0.01))
    asked = [background(lambda n=n: said(tts) if n % 3 else tts.list_voices()) for n in range(12)]  # type: ignore[misc]
    assert all(a.result(50) for a in asked)


def test_waiting_for_a_worker_that_starts_can_be_stopped(
    opened: Callable[..., Any], background: Spawn, gate: Path
) -> None:
    tts, token = opened("uneven8", gate=gate), CancelToken()
    gate.unlink()
    kill(tts)
    first = background(lambda: tts.generate_audio("hi"))
    wait_until(lambda: tts._workers._workers and tts._workers._workers[0].ready)
    second = background(lambda: tts.generate_audio("hi", cancel=token))
    wait_until(lambda: tts._workers._waiting)
    token.cancel("enough")
    with pytest.raises(CallCancelled, match="enough"):
        second.result()
    assert first.running
    gate.touch()
    assert first.result(30)


def test_a_start_that_is_killed_costs_nobody_the_call(
    opened: Callable[..., Any], background: Spawn, gate: Path
) -> None:
    tts = opened("uneven8", gate=gate)
    gate.unlink()
    kill(tts)
    asked = [background(lambda: tts.generate_audio("hi")) for _ in range(3)]
    wait_until(lambda: len(tts._workers._waiting) == 2 and tts._workers._workers[0].ready)
    os.kill(tts._workers._workers[0].process.pid, signal.SIGKILL)
    gate.touch()
    assert all(a.result(30) for a in asked), "nothing of them was run"


def test_ctrl_c_while_a_worker_starts_leaves_nothing(
    opened: Callable[..., Any], background: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts, make, asked = opened(), Worker.make, []
    kill(tts)

    def interrupted(self: Worker, call: Any) -> None:
        if not asked:
            asked.append(background(lambda: tts.list_voices()))
            wait_until(lambda: tts._workers._waiting)
            raise KeyboardInterrupt
        make(self, call)

    monkeypatch.setattr(Worker, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tts.generate_audio("hi")
    assert asked[0].result(30) == ["a"], "it starts another"
    assert len(tts._workers._workers) == 1
    assert tts.generate_audio("hi")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what is interrupted is closed late
@pytest.mark.parametrize("step", [127, pytest.param(5, marks=pytest.mark.full)])
def test_an_interrupt_anywhere_in_a_start_leaves_no_worker(folder: Path, step: int) -> None:
    def ours(frame: FrameType) -> bool:
        # Nor where the collector asks for it: Python lets nothing out of there.
        name = frame.f_globals.get("__name__", "")
        return name.startswith("lollms_modalities.workers") and frame.f_code is not Workers.kill.__code__

    def start() -> None:
        LollmsTTSBindingManager(folder).require_binding("uneven", isolated=True).close()

    before = worker_pids()

    at = 1
    while interrupted_at(at, start, ours)[0]:
        gc.collect()  # the tracing has made cycles
        wait_until(lambda: worker_pids() <= before)
        at += step
    assert at > 500, "all the way"


def test_an_interrupt_before_a_binding_is_made_leaves_no_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, entered = worker_pids(), []

    def interrupted(*args: Any) -> Any:
        entered.append(worker_pids() - before)
        if len(entered) == 2:
            raise KeyboardInterrupt
        return creating(*args)

    monkeypatch.setattr("lollms_modalities.workers.pool.creating", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LollmsTTSBindingManager(folder).require_binding("uneven", isolated=True)
    assert len(entered[1]) == 1, "it is there"
    wait_until(lambda: worker_pids() <= before)


def test_a_worker_that_cannot_be_started_is_told(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tts = opened()
    kill(tts)
    monkeypatch.setattr(tts._workers.spec, "python", Path("/nonexistent/python"))
    with pytest.raises(WorkerCrashedError, match="could not be started"):
        tts.generate_audio("hi")


@pytest.mark.parametrize("left", [0.0001, 0.4996, 0.5, 7.00049])
def test_who_waits_as_long_as_told_is_not_refused_again(left: float) -> None:
    spec: Any = SimpleNamespace(log=logging.getLogger("none"))
    losses = Losses(spec)
    losses.count = 3
    losses.left = lambda: left  # type: ignore[method-assign]
    with pytest.raises(WorkerRestartError) as caught:
        losses.check()
    assert left <= caught.value.retry_after < left + 0.002  # type: ignore[attr-defined]
    assert "for 0.0 s" not in str(caught.value)


# --- settings and pools ---------------------------------------------------------------------------------------------


def test_settings_reach_a_worker_that_starts(
    opened: Callable[..., Any], background: Spawn, gate: Path, tmp_path: Path
) -> None:
    tts, end = opened("uneven", TWO, gate=gate), tmp_path / "end"
    first = background(lambda: said(tts, do="wait", gate=end))
    wait_until(lambda: tts._workers._workers[0].calls)
    gate.unlink()
    second = background(lambda: said(tts))
    wait_until(lambda: len(tts._workers._workers) == 2 and tts._workers._workers[1].ready)
    assert tts.set_settings({"voice_name": "z"})
    gate.touch()
    assert second.result(30)["voice"] == "z"
    end.touch()
    assert first.result(30)
    assert {said(tts)["voice"] for _ in range(3)} == {"z"}
    assert len(tts._workers.all()) == 2


def test_a_worker_that_does_not_take_settings_harms_no_call(
    opened: Callable[..., Any], background: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts, end = opened("uneven", TWO), tmp_path / "end"
    tts.load()
    running = background(lambda: said(tts, do="wait", gate=end))
    wait_until(lambda: any(w.calls for w in tts._workers.all()))
    busy = next(w for w in tts._workers.all() if w.calls)
    run, taken = tts._run, []

    def fails(*args: Any, worker: Any = None, **kwargs: Any) -> Any:
        taken.append(worker)
        if len(taken) == 2:
            raise WorkerCrashedError("not this one")
        return run(*args, worker=worker, **kwargs)

    monkeypatch.setattr(tts._workers, "take", lambda *a, **k: take_other(tts, busy))
    monkeypatch.setattr(tts, "_run", fails)
    assert tts.set_settings({"voice_name": "z"})
    monkeypatch.undo()
    assert taken[1] is busy
    end.touch()
    assert running.result(30)["voice"] == "a"
    assert busy not in tts._workers.all()
    wait_until(lambda: not psutil.pid_exists(busy.process.pid))


def take_other(tts: Any, busy: Any) -> Any:
    other = next(w for w in tts._workers.all() if w is not busy)
    other.users[tts] = False
    return other


def test_keep_alive_holds_from_when_it_is_changed(opened: Callable[..., Any]) -> None:
    tts = opened()
    tts.load()
    tts.set_settings({"keep_alive": 0.05})
    wait_until(lambda: not tts.is_loaded())
    tts.set_settings({"keep_alive": None})
    tts.load()
    time.sleep(0.2)
    assert tts.is_loaded()


def test_a_pool_loads_beside_a_stream_and_stays_a_pool(opened: Callable[..., Any]) -> None:
    tts = opened("uneven", TWO)
    assert not tts.is_loaded()
    with tts.stream_audio("hi") as stream:
        next(stream)
        tts.load()
        tts.list_voices()
        assert tts.generate_audio("hi")
        assert len(tts._workers.all()) == 2
    assert tts.is_loaded()
    assert tts.loaded
    tts.unload()
    assert not tts.is_loaded()


# --- ends -----------------------------------------------------------------------------------------------------------


def test_a_worker_that_does_not_listen_does_not_stop_the_loop(opened: Callable[..., Any], tmp_path: Path) -> None:
    tts, beats = opened(policy=WorkerPolicy(grace=1.0)), []

    async def beat() -> None:
        while True:
            beats.append(1)
            await asyncio.sleep(0.01)

    async def main() -> None:
        stream = tts.astream_audio("hi", do="sleep", gate=tmp_path / "asleep")
        await anext(stream)
        beating = asyncio.create_task(beat())
        waiting = asyncio.create_task(anext(stream))
        while not (tmp_path / "asleep").exists():
            await asyncio.sleep(0.01)
        beats.clear()
        waiting.cancel()
        with pytest.raises((asyncio.CancelledError, CallCancelled)):
            await waiting
        await stream.aclose()
        with pytest.raises(CallTimeout):
            await tts.agenerate_audio("hi", do="stop", timeout=0.1)
        beating.cancel()

    asyncio.run(main())
    assert len(beats) > 5, "in the second that the worker was given to stop"


@pytest.mark.parametrize("pool", [2, (0, 2)])
def test_of_tasks_that_hold_a_whole_pool_and_await_more_one_is_refused(
    opened: Callable[..., Any], pool: int | tuple[int, int]
) -> None:
    tts = opened(policy=WorkerPolicy(grace=0.5, pool=pool, wait_target=0.0))

    async def use(meet: asyncio.Barrier) -> str:
        stream = tts.astream_audio("hi", count=100)
        await anext(stream)
        await meet.wait()
        try:
            async with asyncio.timeout(20):
                await asyncio.gather(tts.agenerate_audio("x"))
            return "ok"
        except BusyError:
            return "busy"
        finally:
            await stream.aclose()

    async def main() -> list[str]:
        meet = asyncio.Barrier(2)
        return await asyncio.gather(use(meet), use(meet))

    assert sorted(asyncio.run(main())) == ["busy", "ok"]


def test_close_can_be_asked_for_again(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tts = opened()
    (worker,) = tts._workers.all()

    def interrupted(self: Worker) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "stop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tts.close()
    assert worker.alive
    with pytest.raises(BindingClosedError):
        tts.generate_audio("hi")
    tts.close()
    assert not worker.alive
    assert not psutil.pid_exists(worker.process.pid)


def test_a_second_close_waits_for_the_first(
    opened: Callable[..., Any], background: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tts, go, stop, stopping = opened(), threading.Event(), Worker.stop, threading.Event()

    def slowly(self: Worker) -> None:
        stopping.set()
        go.wait()
        stop(self)

    monkeypatch.setattr(Worker, "stop", slowly)
    first = background(tts.close)
    stopping.wait()
    second = background(tts.close)
    wait_until(lambda: tts._lock._waiters)
    assert second.running
    go.set()
    first.result()
    second.result()
    assert not tts._workers._workers


ASKS: dict[str, Callable[[Any], Any]] = {
    "slow": lambda tts: tts.slow("never"),
    "set_settings": lambda tts: tts.set_settings({"voice_name": "b"}),
    "get_settings": lambda tts: tts.get_settings(),
}


@pytest.mark.parametrize("what", ASKS)
def test_what_is_asked_while_it_closes_is_told_so(opened: Callable[..., Any], background: Spawn, what: str) -> None:
    tts = opened()
    (worker,) = tts._workers.all()
    os.kill(worker.process.pid, signal.SIGSTOP)
    asked = background(lambda: ASKS[what](tts))
    wait_until(lambda: worker.users)
    tts.close()
    with pytest.raises(BindingClosedError, match=f"{what} was asked for after close"):
        asked.result()


def test_close_ends_the_wait_for_a_worker_that_does_not_unload(opened: Callable[..., Any], background: Spawn) -> None:
    tts = opened()
    (worker,) = tts._workers.all()
    os.kill(worker.process.pid, signal.SIGSTOP)
    asked = background(tts.unload)
    wait_until(lambda: worker.users)
    tts.close()
    with pytest.raises(CallCancelled, match="closed"):
        asked.result()
    assert not psutil.pid_exists(worker.process.pid)


REST: dict[str, Callable[[Any], Any]] = {
    "unload": lambda tts: tts.unload(),
    "is_loaded": lambda tts: tts.is_loaded(),
    "set_settings": lambda tts: tts.set_settings({"voice_name": "b"}),
    "list_voices": lambda tts: tts.list_voices(),
    "generate_audio": lambda tts: tts.generate_audio("hi"),
    "stream_audio": lambda tts: list(tts.stream_audio("hi")),
}


@pytest.mark.parametrize("what", REST)
def test_what_stops_a_call_stops_whatever_it_asks_of_a_worker(opened: Callable[..., Any], what: str) -> None:
    tts = opened(policy=WorkerPolicy(grace=0.1))

    class Outer(LollmsTTSBinding):
        def generate_audio(self, text: str, voice: str | None = None, **kwargs: Any) -> Any:
            REST[what](tts)

        def list_voices(self, **kwargs: Any) -> list[str]:
            return []

    os.kill(tts._workers.all()[0].process.pid, signal.SIGSTOP)
    with pytest.raises(CallTimeout):
        Outer().generate_audio("hi", timeout=0.1)


def test_a_maker_that_nobody_has_ends_its_worker(folder: Path) -> None:
    before = worker_pids()
    maker = LollmsTTSBindingManager(folder).maker("uneven", isolated=True)
    (worker,) = worker_pids() - before
    del maker
    gc.collect()
    wait_until(lambda: not psutil.pid_exists(worker))


def test_each_binding_of_a_maker_has_workers_of_its_own(folder: Path) -> None:
    maker = LollmsTTSBindingManager(folder).maker("uneven", isolated=True, policy=QUICK)
    with maker({"voice_name": "b"}) as one, maker({"voice_name": "c"}) as two:
        del maker
        gc.collect()
        assert (one.list_voices(), two.list_voices()) == (["b"], ["c"])
    with pytest.raises(BindingClosedError):
        one.list_voices()


def test_cancelling_a_stream_holds_nobody_up(opened: Callable[..., Any], tmp_path: Path) -> None:
    tts, token = opened("uneven", WorkerPolicy(grace=20)), CancelToken()
    stream = tts.stream_audio("hi", do="sleep", gate=tmp_path / "asleep", cancel=token)
    next(stream)
    wait_until((tmp_path / "asleep").exists)
    (worker,) = tts._workers.all()
    began = time.monotonic()
    token.cancel()
    assert time.monotonic() - began < 10
    assert worker.alive, "it is given its time, elsewhere"
    with pytest.raises(CallCancelled):
        next(stream)
    os.kill(worker.process.pid, signal.SIGKILL)
    assert said(tts)["pid"] != worker.process.pid


# --- the garbage collector ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [(Workers, "_choose"), (Workers, "_retires"), (Channel, "_write")])
def test_an_abandoned_stream_may_be_collected_anywhere(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, inside: tuple[Any, str]
) -> None:
    owner, name = inside
    tts, collected = opened("uneven", TWO), []
    stream = tts.stream_audio("hi", count=1_000_000)
    next(stream)
    stream.itself = stream
    original = getattr(owner, name)

    def collects(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not collected and threading.current_thread() is threading.main_thread():
            collected.append(gc.collect())
        return original(self, *args, **kwargs)

    gc.disable()
    try:
        monkeypatch.setattr(owner, name, collects)
        del stream
        assert tts.generate_audio("hi")
    finally:
        gc.enable()
    assert collected
    wait_until(lambda: not any(w.calls for w in tts._workers.all()))


def test_killing_at_once_takes_no_lock(opened: Callable[..., Any]) -> None:
    # The collector may ask for it within the set() of the very event that tells of the end.
    process = opened()._workers.all()[0].process
    with process._ended._cond:
        process.kill("it was dropped", 0.0)
    wait_until(process._ended.is_set)


# --- messages -------------------------------------------------------------------------------------------------------


def test_thousands_of_payloads_in_one_message(opened: Callable[..., Any]) -> None:
    tts = opened()
    assert said(tts, many=[b"x"] * 5000)["many"] == [5000, 5000]
    # More than one frame holds: small ones travel together.
    assert said(tts, many=[bytes(3000)] * 3000 + [b""])["many"] == [3001, 9_000_000]
    assert tts.pieces(5000) == [b"%d" % n for n in range(5000)]


def frame(text: bytes, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(text), len(payload)) + text + payload


@pytest.mark.parametrize(
    "frame",
    [frame(b"{}"), frame(b"nope"), frame(b'{"type":"ack"}'), frame(b'{"type":"result","id":3}'),
     frame(b'{"type":"result","id":3,"value":0,"sizes":7}'), frame(b'{"type":"data","id":3}', b"x"),
     frame(b'{"type":"result","id":3,"value":0,"sizes":[-1,5]}'), HEAD.pack(2**32 - 1, 0)],
)  # fmt: skip
def test_nonsense_from_a_worker_is_told(opened: Callable[..., Any], frame: bytes, capfd: Any) -> None:
    tts = opened()
    with pytest.raises(WorkerCrashedError, match="what nobody understands"):
        tts.generate_audio(frame.hex(), do="nonsense")
    assert capfd.readouterr() == ("", "")
    assert tts.generate_audio("hi")


def test_a_large_result_is_held_twice_at_most(opened: Callable[..., Any]) -> None:
    tts, size = opened(), 60_000_000
    tts.whole(2)
    tracemalloc.start()
    try:
        audio = tts.whole(size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(audio) > size
    assert peak < 2.3 * size, "the bytes that arrive, and the Audio that they become"


def test_odd_options_are_as_in_place(opened: Callable[..., Any], folder: Path) -> None:
    odd = {
        "amount": Decimal("1.10"),
        "ratio": Fraction(1, 3),
        "when": datetime.datetime(2020, 2, 29, 12, tzinfo=datetime.UTC),
        "length": datetime.timedelta(days=-1, microseconds=1),
        "by_number": {1: "one"},
    }
    here = LollmsTTSBindingManager(folder).require_binding("uneven")
    there = opened()
    for name in ("types", "values"):
        assert said(here, **odd)[name] == said(there, **odd)[name]


def test_media_within_options(opened: Callable[..., Any]) -> None:
    tts, begun = opened(), []

    class Plug:
        @hookimpl
        def lollms_before_call(self, binding: Any, call: Any) -> None:
            begun.append(call.options.parts)

    plug = Plug()
    hooks.register(plug)
    try:
        audio = tts.generate_audio("hi", parts=[b"\xff\xfe\xfd", bytearray(b"\xff\xff"), io.BytesIO(b"\x80")])
    finally:
        hooks.unregister(plug)
    assert begun == [["<3 bytes>", "<2 bytes>", "<1 bytes>"]]
    assert audio.provenance.extra["parts"] == [3, 2, 1]


# --- what is printed ------------------------------------------------------------------------------------------------


def test_secrets_that_an_engine_prints_are_masked(opened: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tts = opened(api_key="first-secret", keys=["second-secret", "third-secret"])
    tts.set_settings({"api_key": "fourth-secret"})
    text = "a first-secret b second-secret c third-secret d fourth-secret e " + "x" * 990 + "third-secret" + "y" * 5000
    with pytest.raises(WorkerCrashedError) as caught:
        tts.generate_audio(text, do="print")
    shown = [str(caught.value), str(caught.value.to_json()), caplog.text]
    assert all("a **********" in s and "secret" not in s for s in shown[1:])
    assert "secret" not in shown[0]


def test_output_without_an_end_is_not_kept() -> None:
    output, log = Output(logging.getLogger("endless"), str), logging.getLogger("endless")
    log.disabled = True
    tracemalloc.start()
    try:
        for piece in (b"x" * 65536, b"\r 12 of 99" * 6000):
            for _ in range(15):
                output.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        log.disabled = False
    assert peak < 700_000, "of two million"


def test_output_without_an_end_is_bounded(opened: Callable[..., Any]) -> None:
    tts = opened()
    with pytest.raises(WorkerCrashedError) as caught:
        tts.generate_audio("hi", do="bars")
    assert len(str(caught.value)) < 10_000
    assert len(str(caught.value.to_json())) < 25_000


def test_bars_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    output = Output(logging.getLogger("bars"), lambda text: text.replace("key", "*"))
    for data in (b"start\r\n", b"\r 1%", b"\r 2%\r", b"\n\xc3", b"\xbcber k", b"ey\nlast"):
        output.feed(data)
    output.feed(b"", final=True)
    assert output.last_lines() == ["start", "", "\xfcber *", "last"] or output.last_lines() == [
        "start", " 2%", "\xfcber *", "last",
    ]  # fmt: skip
    assert " 1%" not in caplog.text


# --- the host's own state -------------------------------------------------------------------------------------------


def test_keys_of_the_host_s_environment_stay_there(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["OTHER_API_KEY", "HF_TOKEN", "my_secret", "DB_PASSWORD", "APP_CREDENTIALS", "ODD_API_KEY", "GIVEN_KEY"]
    for name in [*names, "TOKENIZERS_PARALLELISM", "PLAIN"]:
        monkeypatch.setenv(name, "sesame")
    passed = ["ODD_API_KEY", "TOKENIZERS_PARALLELISM", "PLAIN"]
    tts = opened(policy=WorkerPolicy(grace=0.5, variables={"GIVEN_KEY": "given"}))
    assert [n for n in [*names, "TOKENIZERS_PARALLELISM", "PLAIN"] if said(tts, n)["variable"] == "sesame"] == passed
    assert said(tts, "GIVEN_KEY")["variable"] == "given"
    other = opened(policy=WorkerPolicy(grace=0.5, pass_variables=("HF_*",)))
    assert [n for n in names if said(other, n)["variable"] == "sesame"] == ["HF_TOKEN", "ODD_API_KEY", "GIVEN_KEY"][:2]


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from lollms_modalities import LollmsError, LollmsTTSBindingManager, WorkerCrashedError
def opened():
    return LollmsTTSBindingManager(sys.argv[1]).require_binding("uneven", isolated=True)
def main():
{body}
    Path(sys.argv[2]).write_text("well")
if __name__ == "__main__":
    main()
"""
BODIES = {
    "nothing is left": """
    import psutil, threading
    with opened() as tts:
        tts.generate_audio("hi")
        assert len(psutil.Process().children()) == 2
    assert psutil.Process().children() == [], psutil.Process().children()
    with opened() as tts:
        tts.generate_audio("hi")
    assert psutil.Process().children() == []
""",
    "the first three are closed": """
    for n in range(3): os.close(n)
    with opened() as tts:
        tts.generate_audio("hi")
        try: tts.generate_audio("said", do="print")
        except WorkerCrashedError as exc: assert "said" in str(exc) and exc.exit_code == 3
        tts.generate_audio("hi")
    for n in range(3): os.open(os.devnull, os.O_RDWR)
""",
    "SIGCHLD is ignored": """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with opened() as tts:
        try: tts.generate_audio("said", do="print")
        except WorkerCrashedError as exc: assert exc.exit_code is None and "ignores SIGCHLD" in str(exc), exc
        tts.generate_audio("hi")
""",
    "whatever its caller has set": """
    import socket, tempfile
    socket.setdefaulttimeout(1234.5)
    os.umask(0o777)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for n in range(3): os.close(n)
    with tempfile.TemporaryDirectory() as gone: os.chdir(gone)
    with opened() as tts:
        assert tts._workers.all()[0].process.sock.gettimeout() is None
        tts.generate_audio("hi")
    for n in range(3): os.open(os.devnull, os.O_RDWR)
    os.umask(0o022)
""",
    "all that it has not opened itself is closed": """
    with opened() as tts:
        tts.generate_audio("hi")
        os.closerange(3, 256)
        try: tts.generate_audio("hi")
        except WorkerCrashedError: pass
        for _ in range(4): tts.generate_audio("hi")
    with opened() as tts: tts.generate_audio("hi")
""",
    "a connection is closed under its hands": """
    import psutil
    with opened() as tts:
        os.close(tts._workers.all()[0].process.sock.fileno())
        try: tts.generate_audio("hi")
        except WorkerCrashedError as exc: assert "the connection to it was closed" in str(exc), exc
        for _ in range(4): tts.generate_audio("hi")
        until = time.monotonic() + 20
        while len(psutil.Process().children()) > 2 and time.monotonic() < until: time.sleep(0.01)
        assert len(psutil.Process().children()) == 2
""",
    "a stream in a forked child": """
    with opened() as tts:
        stream = tts.stream_audio("hi", count=1000)
        next(stream)
        child = os.fork()
        if not child:
            signal.alarm(30)
            try: next(stream)
            except LollmsError as exc: assert "forked" in str(exc), exc
            else: os._exit(4)
            tts.generate_audio("hi")
            tts.close()
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        next(stream)
        stream.close()
""",
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_host(folder: Path, tmp_path: Path, what: str) -> None:
    program = PROGRAM.format(body=BODIES[what])
    # -P: Python 3.13.0 imports no extension where the current folder is among its paths, and gone.
    command = [sys.executable, "-P", "-W", "error", "-c", program, str(folder), str(tmp_path / "told")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "told").read_text() == "well"
