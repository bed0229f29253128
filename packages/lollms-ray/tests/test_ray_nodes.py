"""Real Ray on three nodes, which are network namespaces of this machine: a program's own, without CPUs, and two with."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lollms_modalities
import pytest
from lollms_modalities import (
    BindingIncompatibleError,
    LollmsSTTBindingManager,
    LollmsTTSBindingManager,
    PlaceError,
    WorkerCrashedError,
    WorkerPolicy,
    find_environment,
)
from lollms_ray import RayPlace
from lollms_ray.helper import make_token
from ray_environment import ray_environment
from ray_nodes import RayNodes, cluster, node_of
from waiting import wait_until

pytestmark = pytest.mark.full
_TOLD = 8.0  # seconds after a node's death in which its workers are told dead
POLICY = WorkerPolicy(grace=0.5, start_timeout=120.0)


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with cluster() as made, made.here.entered():
        yield made


@pytest.fixture
def opened(nodes: RayNodes) -> Iterator[Callable[..., Any]]:
    """Opens the example at a place in the cluster."""
    made: list[Any] = []

    def make(policy: WorkerPolicy = POLICY, environment: Path | None = None, **asked: Any) -> Any:
        how: dict[str, Any] = {} if environment is None else {"environment": environment}
        made.append(LollmsTTSBindingManager().require_binding("example", place=nodes.at(**asked), policy=policy, **how))
        return made[-1]

    yield make
    for binding in made:
        binding.close()


def test_a_voice_and_a_listener_on_two_nodes(nodes: RayNodes) -> None:
    one, two = (nodes.at(resources={f"node{n}": 0.1}) for n in (1, 2))
    with (
        LollmsTTSBindingManager().require_binding("piper", place=one, policy=POLICY) as tts,
        LollmsSTTBindingManager().require_binding("faster_whisper", place=two, policy=POLICY) as stt,
    ):
        heard = stt.transcribe_audio(tts.generate_audio("The weather is good today."))
        assert "weather" in heard.lower()
        assert [node_of(tts), node_of(stt)] == list(nodes.others)


def environment_with(folder: Path, core: str) -> Path:
    """An environment of a node: that of Ray with another version of the core."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "rays.pth").write_text("\n".join(find_environment(ray_environment()).site_packages))
    ours = site / "lollms_modalities"
    shutil.copytree(Path(lollms_modalities.__file__).parent, ours)
    version = ours / "version.py"
    version.write_text(version.read_text().replace(f'"{lollms_modalities.__version__}"', f'"{core}"'))
    return folder


def test_a_worker_of_another_core_is_told_of(
    opened: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tts = opened(environment=environment_with(tmp_path / "newer", "2.99.0"))
    assert tts.generate_audio("hi")
    assert f"on {node_of(tts)} has lollms-modalities-core 2.99.0, and here is" in caplog.text
    with pytest.raises(BindingIncompatibleError, match=r"lollms-modalities-core 3\.0\.0; here is"):
        opened(environment=environment_with(tmp_path / "other", "3.0.0"))


def test_a_cluster_is_joined_with_its_own_token_only(
    nodes: RayNodes, opened: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(PlaceError, match="to this token"):
        opened(token=make_token(tmp_path))
    assert opened().generate_audio("hi"), "the other is another process"


def test_the_cluster_of_this_machine_is_found(nodes: RayNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)  # by itself Ray finds those of other tests, too
    place = RayPlace("auto", num_cpus=0.1, environment=nodes.environment, token=nodes.token)
    try:
        with LollmsTTSBindingManager().require_binding("example", place=place, policy=POLICY) as tts:
            assert tts.generate_audio("hi")
            assert node_of(tts) in nodes.others
    finally:
        place.close()


@pytest.mark.parametrize("asked", [{"num_gpus": 1.5}, {"num_cpus": -1}, {"resources": {"CPU": 1}}])
def test_what_ray_does_not_understand_is_told_at_once(opened: Callable[..., Any], asked: dict[str, Any]) -> None:
    opened()  # the cluster is joined
    began = time.monotonic()
    with pytest.raises(PlaceError, match="Ray could not start"):
        opened(**asked)
    assert time.monotonic() - began < POLICY.start_timeout / 2


def test_the_worker_of_a_node_that_dies_is_told_dead_and_another_node_serves(
    nodes: RayNodes, opened: Callable[..., Any]
) -> None:
    tts = opened()
    tts.generate_audio("hi")
    worker, address = tts._workers._workers[0], node_of(tts)
    nodes.kill_node(address)
    wait_until(lambda: not worker.alive, _TOLD)
    assert isinstance(worker.crash(), WorkerCrashedError)
    assert tts.generate_audio("hi")
    assert node_of(tts) != address
    nodes.start_node(address)


def test_a_node_that_is_cut_off_is_told_and_another_serves(nodes: RayNodes, opened: Callable[..., Any]) -> None:
    """Nobody tells Ray, which takes the node for a living one for a minute: the other is asked for by name."""
    tts = opened(resources={"node1": 0.1})
    tts.generate_audio("hi")
    other = opened(resources={"node2": 0.1})
    worker = tts._workers._workers[0]
    host = nodes.others[node_of(tts)]
    host.cut("silent")
    try:
        wait_until(lambda: not worker.alive, _TOLD)
        assert "was cut" in str(worker.crash())
        assert other.generate_audio("hi")
    finally:
        host.mend()
    assert tts.generate_audio("hi")


def test_an_elastic_pool_grows_over_the_nodes(opened: Callable[..., Any]) -> None:
    tts = opened(WorkerPolicy(pool=(0, 2), wait_target=0.0, idle_timeout=0.5, start_timeout=120.0), num_cpus=1)
    seen: set[str] = set()

    def both() -> bool:
        seen.update(worker.process.node for worker in tts._workers.all())
        return len(seen) == 2

    def call() -> None:
        while len(seen) < 2:
            tts.generate_audio("A long text. " * 40)

    calls = [threading.Thread(target=call) for _ in range(4)]
    for each in calls:
        each.start()
    wait_until(both, 60)
    for each in calls:
        each.join()
    wait_until(lambda: not tts.pool_state().running, 30)


def test_a_node_that_is_drained_gets_nothing_more(nodes: RayNodes, opened: Callable[..., Any]) -> None:
    tts = opened()
    before = tts.generate_audio("hi")
    worker, address = tts._workers._workers[0], node_of(tts)
    nodes.drain(address)
    wait_until(lambda: worker.process.leaving, 30)
    assert tts.generate_audio("hi") == before
    assert node_of(tts) != address


def test_a_cluster_that_asks_nobody_for_a_token_is_refused_unless_that_is_known() -> None:
    with cluster(RAY_AUTH_MODE="disabled") as unguarded, unguarded.here.entered():
        manager = LollmsTTSBindingManager()
        with pytest.raises(PlaceError, match="asks nobody for a token") as caught:
            manager.require_binding("example", place=unguarded.at(), policy=POLICY)
        assert caught.value.reason == "authentication"
        known = unguarded.at(allow_open=True)
        with manager.require_binding("example", place=known, policy=POLICY) as tts:
            assert tts.generate_audio("hi")
