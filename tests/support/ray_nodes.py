"""A real Ray cluster: a head on the program's host, without CPUs, and nodes on others, which are network namespaces.

    with cluster() as made, made.here.entered():
        LollmsTTSBindingManager().require_binding("piper", place=made.at(resources={"node1": 0.1}))

Needs root and iproute2.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
from lollms_ray import RayPlace
from lollms_ray.helper import make_token
from namespaces import Host, network
from ray_environment import ray_environment
from waiting import wait_until

PORT = 6379
STARTS = 120.0  # seconds until a node is there
_NODES = """
import json, sys
from ray._raylet import GcsClient
nodes = GcsClient(address=sys.argv[1]).get_all_node_info(timeout=20).values()
print(json.dumps({n.node_manager_address: n.node_id.hex() for n in nodes if n.state == 0}))
"""


class RayNodes:
    """Such a cluster.

    Attributes:
        here: the host of the program and of the head.
        others: the hosts whose nodes have CPUs, by address. Each has the resource ``node1``, ``node2`` and so on.
        token: the file with its token.
        environment: in which Ray lies; ``variables``, with which it runs.
        log: what Ray has printed.
    """

    def __init__(self, hosts: list[Host], folder: Path, environment: Path, more: Mapping[str, str], cpus: int) -> None:
        self.environment = environment
        self.here, *others = hosts
        self.others = {host.address: host for host in others}
        self.token = make_token(folder)
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAY_"))} | {
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_worker_niceness": "0", "RAY_raylet_start_wait_time_s": "120",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "3600", **more,
        }  # fmt: skip
        self.log = folder / "log"
        self._folder, self._cpus = folder, cpus
        self._places: list[RayPlace] = []

    @property
    def address(self) -> str:
        """Of the head."""
        return f"{self.here.address}:{PORT}"

    @property
    def nodes(self) -> dict[str, str]:
        """The living nodes' names for Ray, by address."""
        found: dict[str, str] = json.loads(self.run("-c", _NODES, self.address))
        return found

    def at(self, **asked: Any) -> RayPlace:
        """A place in the cluster, with what ``RayPlace`` is to ask for."""
        options = {"num_cpus": 0.1, "environment": self.environment, "token": self.token} | asked
        self._places.append(RayPlace(self.address, **options))
        return self._places[-1]

    def run(self, *words: str) -> str:
        """The output of Python with these words, in Ray's environment on the program's host."""
        command = self.here.command([self.environment / "bin" / "python", *words])
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_head(self) -> None:
        """Start it, and wait until it is there."""
        dashboard = "--include-dashboard=false"
        self._start(self.here, "--head", f"--port={PORT}", "--num-cpus=0", dashboard, f"--temp-dir={self._folder}")
        wait_until(lambda: self._there(self.here), STARTS)

    def start_node(self, address: str) -> None:
        """Start the node of a host, and wait until it is there: of two at the same moment, one may not come up."""
        number = list(self.others).index(address) + 1
        resources = json.dumps({f"node{number}": 1})
        host = self.others[address]
        self._start(host, f"--address={self.address}", f"--num-cpus={self._cpus}", f"--resources={resources}")
        wait_until(lambda: self._there(host), STARTS)

    def kill_node(self, address: str) -> None:
        """End all that runs on a host at once."""
        for process in self.others[address].processes:
            process.kill()

    def kill_head(self) -> list[psutil.Process]:
        """End the process that knows of all nodes; gives what was ended."""
        killed = [process for process in self.here.processes if process.name() == "gcs_server"]
        for process in killed:
            process.kill()
        return killed

    def drain(self, address: str) -> None:
        """Take a node away, as an operator does."""
        self.run(
            "-m", "ray.scripts.scripts", "drain-node", f"--address={self.address}", f"--node-id={self.nodes[address]}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=tests", "--deadline-remaining-seconds=600",
        )  # fmt: skip

    def close(self) -> None:
        """Let go of it."""
        for place in self._places:
            place.close()

    def _start(self, host: Host, *words: str) -> None:
        python = self.environment / "bin" / "python"
        common = (f"--node-ip-address={host.address}", "--object-store-memory=80000000", "--block")
        with self.log.open("ab") as log:
            host.start(
                [python, "-m", "ray.scripts.scripts", "start", *words, *common],
                env=self.variables, stdout=log, stderr=log,
            )  # fmt: skip

    def _there(self, host: Host) -> bool:
        try:
            return host.address in self.nodes
        except (AssertionError, subprocess.TimeoutExpired):
            return False


@contextmanager
def cluster(*more: str, cpus: int = 1, **variables: str) -> Iterator[RayNodes]:
    """One with two nodes besides the head's, each of so many CPUs for Ray; with more distributions and variables."""
    environment = ray_environment(*more)
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short, since Ray makes sockets in it
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        made = RayNodes(ending.enter_context(network("here", "one", "two")), folder, environment, variables, cpus)
        ending.callback(made.close)
        made.start_head()
        for address in made.others:
            made.start_node(address)
        yield made


def node_of(binding: Any) -> str:
    """The node of a binding's first worker."""
    return str(binding._workers._workers[0].process.node)
