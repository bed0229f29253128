"""Real Ray on one node."""

from __future__ import annotations

import json
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
from lollms_ray.helper import Helper, held
from ray_environment import ray_data, ray_environment
from waiting import wait_until

pytestmark = pytest.mark.full
_RAYS_OWN = 75.0  # seconds: after 60 all of Ray that is left ends, if it is not told otherwise


@pytest.fixture(scope="module")
def environment() -> Path:
    """An environment that has Ray and the example bindings, made by ``lollms env create ray``."""
    return ray_environment()


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


def helper_of(place: RayPlace) -> Helper:
    assert place._cluster is not None
    return held(place._cluster, place._user)


def processes(place: RayPlace, *words: str) -> list[psutil.Process]:
    """Those below the process that holds Ray, and what they left, whose command has all the words."""
    return below(str(helper_of(place)._folder), *words)


def below(folder: str, *words: str) -> list[psutil.Process]:
    """The same, of the one with that folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line = " ".join(process.info["cmdline"] or ())
        if folder in line + str(process.info["environ"]) and all(word in line for word in words):
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
    listening = {
        c.laddr.ip
        for process in processes(place)
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }
    assert listening, "Ray listens"
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    variables = psutil.Process(helper_of(place)._process.pid).environ()
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
    wait_until(lambda: not worker.alive)
    error = worker.crash()
    assert isinstance(error, WorkerCrashedError)
    assert "SIGKILL" in str(error)
    assert error.exit_code == -9
    assert tts.generate_audio("hi")


def test_more_than_there_is_is_told(environment: Path, place: RayPlace, opened: Open) -> None:
    opened()
    greedy = RayPlace("local", resources={"a_cat": 1}, environment=environment)
    with pytest.raises(PlaceError, match=r"No node of the cluster had room .*a_cat"):
        opened(greedy, start_timeout=3.0)


def test_what_ended_leaves_nothing(opened: Open, place: RayPlace) -> None:
    opened().close()
    wait_until(lambda: not any(p.name().startswith("ray::Placed") for p in processes(place)))


def test_places_of_one_cluster_share_the_process_that_holds_ray(
    environment: Path, place: RayPlace, opened: Open
) -> None:
    first = opened()
    other = RayPlace("local", num_cpus=0.3, environment=environment)
    second = opened(other)
    assert first.generate_audio("hi") == second.generate_audio("hi")
    assert helper_of(other) is helper_of(place)
    other.close()
    assert helper_of(place).alive
    assert second.generate_audio("hi"), "what runs there is the bindings'"


def test_the_environment_is_found_and_told_by_doctor(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "lollms").mkdir()
    (tmp_path / "lollms" / "config.toml").write_text('[tts]\nbinding = "piper"\nplace = "ray"\n')
    doctor = [sys.executable, "-m", "lollms_client", "doctor", "--quick", "--json"]
    for data, wrong in ((ray_data(), False), (tmp_path, True)):
        variables = {**os.environ, "XDG_DATA_HOME": str(data), "XDG_CONFIG_HOME": str(tmp_path)}
        told = json.loads(subprocess.run(doctor, env=variables, capture_output=True, text=True).stdout)
        assert ("ray" in told["environments"]) is not wrong
        assert any("no environment 'ray'" in problem for problem in told["problems"]) is wrong


def test_when_the_head_is_lost_calls_go_on_and_new_workers_are_refused(environment: Path) -> None:
    # One that the others are not in: it is not to be open, but they have not said so.
    place = RayPlace("local", num_cpus=0.2, environment=environment, allow_open=True)
    manager, policy = LollmsTTSBindingManager(), WorkerPolicy(start_timeout=120.0)
    try:
        with manager.require_binding("example", place=place, policy=policy) as tts:
            before = tts.generate_audio("hi")
            folder = str(helper_of(place)._folder)
            for process in processes(place, "gcs_server"):
                process.suspend()  # so that whoever asks it something waits, when it is gone
                time.sleep(3)
                process.kill()
            assert tts.generate_audio("hi") == before
            for _ in range(2):  # one that was asked for before it was known, and one that was not
                with pytest.raises(PlaceError, match="head of the cluster 'local' does not answer"):
                    manager.require_binding("example", place=place, policy=policy)
            assert tts.generate_audio("hi") == before
            until = time.monotonic() + _RAYS_OWN
            while time.monotonic() < until:
                assert tts.generate_audio("hi") == before
                time.sleep(0.5)
    finally:
        place.close()
    wait_until(lambda: not below(folder))
