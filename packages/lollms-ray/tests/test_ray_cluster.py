"""Real Ray on one node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from lollms_modalities import (
    LollmsTTSBindingManager,
    PlaceError,
    WorkerCrashedError,
    WorkerPolicy,
)
from lollms_ray import RayPlace

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has Ray, the example bindings, and what is tested."""
    folder = tmp_path_factory.mktemp("ray") / "env"
    uv = (sys.executable, "-m", "uv", "-q")
    wheels = os.environ.get("LOLLMS_WHEELS")
    ours = ["lollms-ray[ray]>=2.0,<3", "lollms-modalities-core[audio,image,network]>=2.0,<3"]
    found = ["--find-links", wheels, *ours] if wheels else [
        "-e", f"{ROOT}/packages/lollms-ray[ray]", "-e", f"{ROOT}/lollms-modalities-core[audio,image,network]",
    ]  # fmt: skip
    if kept := os.environ.get("LOLLMS_RAY_ENVIRONMENT"):
        return Path(kept)
    subprocess.run([*uv, "venv", "--python", sys.executable, str(folder)], check=True)
    install = [*uv, "pip", "install", "--python", str(folder / "bin" / "python")]
    subprocess.run([*install, *found], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT / "examples" / "lollms-examples")], check=True)
    return folder


@pytest.fixture(scope="module")
def place(environment: Path) -> Iterator[RayPlace]:
    place = RayPlace("local", num_cpus=0.2, environment=environment)
    yield place
    place.close()


Open = Callable[..., Any]


@pytest.fixture
def opened(place: RayPlace) -> Iterator[Open]:
    made: list[Any] = []

    def make(at: RayPlace = place, **policy: Any) -> Any:
        policy = {"grace": 0.5} | policy
        made.append(LollmsTTSBindingManager().require_binding("example", place=at, policy=WorkerPolicy(**policy)))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


def processes(place: RayPlace, *words: str) -> list[psutil.Process]:
    """Those below the process that holds Ray, and what they left, whose command has all the words."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = place._helper is not None and str(place._helper._folder) in line + str(process.info["environ"])
        if ours and all(word in line for word in words):
            found.append(process)
    return found


def test_a_binding_on_ray_is_as_any_other(opened: Open) -> None:
    tts = opened()
    assert tts.environment == "ray"
    assert len(tts.generate_audio("hi")) > 1000
    assert list(tts.stream_audio("One. Two."))
    other = opened()
    assert other.generate_audio("hi") == tts.generate_audio("hi")


def test_nobody_else_reaches_it_and_it_reports_nothing(opened: Open, place: RayPlace) -> None:
    opened().generate_audio("hi")
    assert place._helper is not None
    listening = {
        c.laddr.ip
        for process in processes(place)
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening, "Ray listens"
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    variables = psutil.Process(place._helper._process.pid).environ()
    assert (variables["RAY_USAGE_STATS_ENABLED"], variables["RAY_AUTH_MODE"]) == ("0", "token")


def test_a_worker_that_dies_is_told_and_replaced(opened: Open) -> None:
    tts = opened()
    tts.generate_audio("hi")
    worker = tts._workers._workers[0]
    sock = worker.process.sock._sock
    (pid,) = {
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "lollms_modalities.workers.listening" in (process.info["cmdline"] or ())
        and any(c.laddr == sock.getpeername() for c in process.net_connections("tcp"))
    }
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while worker.alive and time.monotonic() < until:
        time.sleep(0.005)
    error = worker.crash()
    assert isinstance(error, WorkerCrashedError)
    assert "SIGKILL" in str(error)
    assert error.exit_code == -9
    assert tts.generate_audio("hi")


def test_more_than_there_is_is_told(environment: Path, place: RayPlace, opened: Open) -> None:
    opened()
    greedy = RayPlace("local", resources={"a_cat": 1}, environment=environment)
    greedy._helper = place._helper  # the same cluster
    with pytest.raises(PlaceError, match=r"No node of the cluster had room .*a_cat"):
        opened(greedy, start_timeout=3.0)


def test_what_ended_leaves_nothing(opened: Open, place: RayPlace) -> None:
    opened().close()
    until = time.monotonic() + 60
    while any(p.name().startswith("ray::Placed") for p in processes(place)):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_when_the_head_is_lost_calls_go_on_and_new_workers_are_refused(environment: Path) -> None:
    place = RayPlace("local", num_cpus=0.2, environment=environment)
    try:
        manager, policy = LollmsTTSBindingManager(), WorkerPolicy(start_timeout=120.0)
        with manager.require_binding("example", place=place, policy=policy) as tts:
            before = tts.generate_audio("hi")
            for process in processes(place, "gcs_server"):
                process.kill()
            assert tts.generate_audio("hi") == before
            with pytest.raises(PlaceError):
                manager.require_binding("example", place=place, policy=WorkerPolicy(start_timeout=5.0))
            assert tts.generate_audio("hi") == before
    finally:
        place.close()
