"""Real Ray on three nodes, which are network namespaces of this machine: a program's own, without CPUs, and two with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lollms_modalities import LollmsSTTBindingManager, LollmsTTSBindingManager, WorkerCrashedError, WorkerPolicy
from lollms_ray import RayPlace
from lollms_ray.helper import make_token
from namespaces import Host, network
from ray_environment import ray_environment
from waiting import wait_until

pytestmark = pytest.mark.full
_TOLD = 8.0  # seconds after a node's death in which its workers are told dead
_NODES = """
import json, sys
from ray._raylet import GcsClient
nodes = GcsClient(address=sys.argv[1]).get_all_node_info(timeout=20).values()
print(json.dumps({n.node_manager_address: n.node_id.hex() for n in nodes if n.state == 0}))
"""


class Cluster(NamedTuple):
    """Three nodes.

    Attributes:
        here: the host of the program and of the head.
        others: the hosts whose nodes have CPUs, by address.
        at: a place in the cluster, with what ``RayPlace`` is to ask for.
        run: the output of Python with these words, in Ray's environment on the program's host.
    """

    here: Host
    others: dict[str, Host]
    at: Callable[..., RayPlace]
    run: Callable[..., str]

    @property
    def nodes(self) -> dict[str, str]:
        """The living nodes' names for Ray, by address."""
        found: dict[str, str] = json.loads(self.run("-c", _NODES, f"{self.here.address}:6379"))
        return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    python = ray_environment() / "bin" / "python"
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short, since Ray makes sockets in it
    token = make_token(folder)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_"))} | {
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "120",
    }  # fmt: skip
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        here, *others = ending.enter_context(network("here", "one", "two"))
        log = ending.enter_context((folder / "log").open("wb"))

        def start(host: Host, *words: str) -> None:
            common = (f"--node-ip-address={host.address}", "--object-store-memory=80000000", "--block")
            host.start(
                [python, "-m", "ray.scripts.scripts", "start", *words, *common], env=variables, stdout=log, stderr=log
            )

        def run(*words: str) -> str:
            command = here.command([python, *words])
            done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            return done.stdout

        def at(**asked: Any) -> RayPlace:
            options = {"num_cpus": 0.2, "environment": ray_environment(), "token": token} | asked
            place = RayPlace(f"{here.address}:6379", **options)
            ending.callback(place.close)
            return place

        made = Cluster(here, {host.address: host for host in others}, at, run)
        start(here, "--head", "--port=6379", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}")
        wait_until(lambda: _there(made, 1), 120)
        for number, host in enumerate(others, 1):
            resources = json.dumps({f"node{number}": 1})
            start(host, f"--address={here.address}:6379", "--num-cpus=1", f"--resources={resources}")
            # One by one: of two at the same moment, one may not come up.
            wait_until(lambda count=number + 1: _there(made, count), 120)
        with here.entered():
            yield made


def _there(cluster: Cluster, count: int) -> bool:
    try:
        return len(cluster.nodes) == count
    except (AssertionError, subprocess.TimeoutExpired):
        return False


def where(binding: Any) -> str:
    """The node of a binding's worker."""
    return str(binding._workers._workers[0].process.node)


POLICY = WorkerPolicy(grace=0.5, start_timeout=120.0)


def test_a_voice_and_a_listener_on_two_nodes(cluster: Cluster) -> None:
    with (
        LollmsTTSBindingManager().require_binding(
            "piper", place=cluster.at(resources={"node1": 0.1}), policy=POLICY
        ) as tts,
        LollmsSTTBindingManager().require_binding(
            "faster_whisper", place=cluster.at(resources={"node2": 0.1}), policy=POLICY
        ) as stt,
    ):
        heard = stt.transcribe_audio(tts.generate_audio("The weather is good today."))
        assert "weather" in heard.lower()
        assert where(tts) != where(stt)


def test_a_node_that_is_drained_gets_nothing_more(cluster: Cluster) -> None:
    with LollmsTTSBindingManager().require_binding("example", place=cluster.at(), policy=POLICY) as tts:
        before = tts.generate_audio("hi")
        worker = tts._workers._workers[0]
        (address,) = [address for address in cluster.others if address in where(tts)]
        cluster.run(
            "-m", "ray.scripts.scripts", "drain-node", f"--address={cluster.here.address}:6379", f"--node-id={cluster.nodes[address]}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=tests", "--deadline-remaining-seconds=600",
        )  # fmt: skip
        wait_until(lambda: worker.process.leaving, 30)
        assert tts.generate_audio("hi") == before
        assert address not in where(tts)


def test_the_worker_of_a_node_that_dies_is_told_dead(cluster: Cluster) -> None:
    with LollmsTTSBindingManager().require_binding("example", place=cluster.at(), policy=POLICY) as tts:
        tts.generate_audio("hi")
        worker = tts._workers._workers[0]
        (host,) = [host for address, host in cluster.others.items() if address in where(tts)]
        for process in host.processes:
            process.kill()
        wait_until(lambda: not worker.alive, _TOLD)
        assert isinstance(worker.crash(), WorkerCrashedError)
