"""Elastic pools, with workers that are processes: started while calls wait, ended when they have nothing to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributions import install
from lollms_modalities import BindingClosedError, CallCancelled, LollmsTTSBindingManager, WorkerCrashedError
from lollms_modalities.workers.policy import WorkerPolicy
from waiting import wait_until

Spawn = Callable[[Callable[[], Any]], Any]
SOURCE = Path(__file__).parent / "support" / "odd_bindings.py"
NEVER = 3600.0


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
    """Makes bindings with an elastic pool, which are closed at the end."""
    made: list[Any] = []

    def make(pool: Any, name: str = "uneven", wait: float = 0.0, idle: float = NEVER, **settings: Any) -> Any:
        policy = WorkerPolicy(grace=0.5, wait_target=wait, idle_timeout=idle)
        manager = LollmsTTSBindingManager(folder)
        made.append(manager.require_binding(name, isolated=True, pool=pool, policy=policy, **settings))
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


def running(tts: Any) -> int:
    return len(tts._workers.all())


def pid_of(tts: Any, **how: Any) -> int:
    return int(tts.generate_audio("hi", **how).provenance.extra["pid"])


def kill(tts: Any) -> None:
    for worker in tts._workers.all():
        os.kill(worker.process.pid, signal.SIGKILL)


def test_it_grows_with_the_queue_and_ends_what_is_idle(
    opened: Callable[..., Any], background: Spawn, tmp_path: Path
) -> None:
    tts = opened([0, 3], idle=0.3)
    wait_until(lambda: not tts._workers._workers)
    assert tts.describe()["concurrency"] == 1
    assert tts.list_voices() == ["a"], "what it is is known; asked, one is started"
    gate = tmp_path / "go"
    calls = [background(lambda: pid_of(tts, do="wait", gate=gate)) for _ in range(5)]
    wait_until(lambda: running(tts) == 3)
    assert len(tts._workers._waiting) == 0, "no more may begin than there are places"
    gate.touch()
    assert len({call.result(30) for call in calls}) <= 3
    wait_until(lambda: not tts._workers._workers)
    assert pid_of(tts), "and from none again"


def test_one_worker_is_enough_where_nobody_waits(opened: Callable[..., Any]) -> None:
    tts = opened((0, 4), wait=NEVER)
    assert len({pid_of(tts) for _ in range(10)}) == 1
    assert len(tts._workers._workers) == 1


def test_the_least_are_started_and_replaced_while_others_serve(
    opened: Callable[..., Any], background: Spawn, tmp_path: Path
) -> None:
    tts = opened((2, 3), wait=NEVER, idle=0.0)
    wait_until(lambda: running(tts) == 2)
    gate = tmp_path / "go"
    call = background(lambda: pid_of(tts, do="wait", gate=gate))
    wait_until(lambda: any(w.calls for w in tts._workers.all()))
    idle = next(w for w in tts._workers.all() if not w.calls)
    os.kill(idle.process.pid, signal.SIGKILL)  # which nobody asks
    wait_until(lambda: running(tts) == 2 and idle not in tts._workers.all())
    gate.touch()
    assert call.result(30)


def test_who_came_first_is_served_first(opened: Callable[..., Any], background: Spawn, tmp_path: Path) -> None:
    tts = opened((0, 8), wait=NEVER)  # so many may wait at once, and one worker serves them
    gate, order = tmp_path / "go", []
    calls = [background(lambda: pid_of(tts, do="wait", gate=gate))]
    wait_until(lambda: any(w.calls for w in tts._workers.all()))
    for n in range(7):
        calls.append(background(lambda n=n: order.append((tts.generate_audio("hi"), n))))  # type: ignore[misc]
        wait_until(lambda n=n: len(tts._workers._waiting) == n + 1)  # type: ignore[misc]
    given = [waiter.call for waiter in tts._workers._waiting]
    seen: list[Any] = []
    serve = tts._workers._choose
    tts._workers._choose = lambda waiter: (serve(waiter), waiter.worker and seen.append(waiter.call))
    gate.touch()
    for call in calls:
        call.result(30)
    assert seen == given


def test_a_stream_keeps_its_worker_to_its_end(opened: Callable[..., Any], background: Spawn) -> None:
    tts = opened((0, 2), idle=0.0)
    stream = tts.stream_audio("hi", count=200)
    assert next(stream).text == "0"
    held = next(w for w in tts._workers.all() if w.calls)
    assert pid_of(tts) != held.process.pid, "another is started for whom waits"
    assert held in tts._workers.all()
    assert [chunk.text for chunk in stream][-1] == "199"
    wait_until(lambda: not tts._workers._workers)


@pytest.mark.parametrize("pool", [(0, 2), 2])
def test_a_worker_that_its_place_takes_away_ends_what_it_runs_and_gets_no_more(
    opened: Callable[..., Any], background: Spawn, tmp_path: Path, pool: Any
) -> None:
    tts, gate = opened(pool), tmp_path / "go"
    call = background(lambda: pid_of(tts, do="wait", gate=gate))
    wait_until(lambda: any(w.calls for w in tts._workers.all()))
    busy = next(w for w in tts._workers.all() if w.calls)
    busy.process.leaving = "its machine is needed"
    another = pid_of(tts)
    assert another != busy.process.pid
    idle = next(w for w in tts._workers.all())
    idle.process.leaving = "its machine is needed"
    third = pid_of(tts)
    assert third not in (another, busy.process.pid)
    wait_until(lambda: idle.process.exit_code is not None)
    assert busy.process.exit_code is None, "it still runs a call"
    gate.touch()
    assert call.result(30) == busy.process.pid
    wait_until(lambda: busy.process.exit_code is not None)
    assert pid_of(tts) == third


def test_places_of_a_worker_count(opened: Callable[..., Any], background: Spawn, tmp_path: Path) -> None:
    tts, gate = opened((0, 2), "uneven8"), tmp_path / "go"
    places = tts._workers.places
    assert places > 1
    calls = [background(lambda: pid_of(tts, do="wait", gate=gate)) for _ in range(places)]
    wait_until(lambda: sum(w.calls for w in tts._workers.all()) == places)
    assert len(tts._workers._workers) == 1
    more = background(lambda: pid_of(tts, do="wait", gate=gate))
    wait_until(lambda: sum(w.calls for w in tts._workers.all()) == places + 1)
    gate.touch()
    assert more.result(30) not in {call.result(30) for call in calls}


def test_settings_reach_those_that_start(
    opened: Callable[..., Any], background: Spawn, gate: Path, tmp_path: Path
) -> None:
    tts, go = opened((1, 3), gate=gate), tmp_path / "go"
    first = background(lambda: pid_of(tts, do="wait", gate=go))
    wait_until(lambda: any(w.calls for w in tts._workers.all()))
    gate.unlink()  # those that are started from now on are not made yet
    others = [background(lambda: tts.generate_audio("hi").provenance.extra["voice"]) for _ in range(2)]
    wait_until(lambda: len(tts._workers._workers) == 3)
    tts.set_settings({"voice_name": "new"})
    gate.touch()
    assert [other.result(30) for other in others] == ["new", "new"]
    go.touch()
    assert first.result(30)


def test_a_start_that_is_killed_costs_nobody_the_call(
    opened: Callable[..., Any], background: Spawn, gate: Path
) -> None:
    tts = opened((0, 2), idle=0.0, gate=gate)
    wait_until(lambda: not tts._workers._workers)
    gate.unlink()
    call = background(lambda: tts.generate_audio("hi"))
    wait_until(lambda: tts._workers._workers and tts._workers._workers[0].ready)
    os.kill(tts._workers._workers[0].process.pid, signal.SIGKILL)
    gate.touch()
    assert call.result(30), "nothing of it was run"


def test_close_ends_those_that_start_and_refuses_those_who_wait(
    opened: Callable[..., Any], background: Spawn, gate: Path
) -> None:
    tts = opened((0, 3), idle=0.0, gate=gate)
    wait_until(lambda: not tts._workers._workers)
    gate.unlink()
    calls = [background(lambda: tts.generate_audio("hi")) for _ in range(3)]
    wait_until(lambda: len([w for w in tts._workers._workers if w.ready]) == 3)
    pids = [worker.process.pid for worker in tts._workers._workers]
    tts.close()
    for call in calls:
        with pytest.raises((BindingClosedError, CallCancelled)):
            call.result(30)
    wait_until(lambda: not any(_is_there(pid) for pid in pids))


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


PROGRAM = """
import os, sys, threading, time
from pathlib import Path
from lollms_modalities import LollmsTTSBindingManager
tts = LollmsTTSBindingManager(sys.argv[1]).require_binding("uneven", isolated=True, pool=(2, 4))
while len(tts._workers.all()) < 2:
    time.sleep(0.01)
pids = [w.process.pid for w in tts._workers.all()]
if (child := os.fork()) == 0:
    said = tts.generate_audio("hi").provenance.extra["pid"]
    Path(sys.argv[2]).write_text(f"{os.getpid()} {said}")
    os._exit(0 if said not in pids else 1)
assert os.waitpid(child, 0)[1] == 0
assert tts.generate_audio("hi").provenance.extra["pid"] in pids
print(*pids, flush=True)
if sys.argv[3] == "drop":
    del tts
    import gc
    gc.collect()
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        time.sleep(0.01)
elif sys.argv[3] == "kill":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("how", ["kill", *(pytest.param(h, marks=pytest.mark.full) for h in ("end", "drop"))])
def test_a_program_that_forks_and_ends_leaves_nothing(folder: Path, tmp_path: Path, how: str) -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "child"), how],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == (-9 if how == "kill" else 0), done.stderr
    pids = [*map(int, done.stdout.split()), *map(int, (tmp_path / "child").read_text().split())]
    assert len(pids) == 4
    wait_until(lambda: not any(_is_there(pid) for pid in pids))


def test_kills_while_it_scales_lose_no_call_and_run_none_twice(
    opened: Callable[..., Any], background: Spawn, tmp_path: Path
) -> None:
    tts = opened((0, 3), idle=0.05)
    stop, outcomes = tmp_path / "stop", []

    def ask(n: int) -> None:
        for k in range(12):
            try:
                outcomes.append((n, k, pid_of(tts)))
            except WorkerCrashedError:
                outcomes.append((n, k, None))

    def murder() -> int:
        killed = 0
        while not stop.exists():
            for worker in tts._workers.all()[:1]:
                done = len(outcomes)
                wait_until(lambda done=done: len(outcomes) > done or stop.exists())  # type: ignore[misc]
                with contextlib.suppress(ProcessLookupError):  # it had nothing to do
                    os.kill(worker.process.pid, signal.SIGKILL)
                    killed += 1
        return killed

    asking = [background(lambda n=n: ask(n)) for n in range(4)]  # type: ignore[misc]
    killing = background(murder)
    for asked in asking:
        asked.result(120)
    stop.touch()
    assert killing.result(30) > 0
    assert sorted((n, k) for n, k, _ in outcomes) == [(n, k) for n in range(4) for k in range(12)]
    wait_until(lambda: not tts._workers._workers)
