"""A Ray cluster of three nodes that come to harm in the middle of calls, streams and loads; and a day's load on a pool.

``python soak/cluster.py [KILLS] [DEATHS] [PARTITIONS] [--day SECONDS] [--svg FILE]``: so many workers are killed, nodes
killed and started again, nodes cut off without a word; the day, on a pool of none to four; at last the head is killed.
Whoever waits must be told within 8 s by a typed error, no call may be run twice, the next one must be right, after a
node's death within 10 s. Calls and workers that are there outlive the head; a new worker is refused. The nodes are
network namespaces of this machine, which needs root. Exit 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lollms_modalities import LollmsTTSBindingManager, PlaceError, WorkerPolicy

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
places: Any = importlib.import_module("places")
pools: Any = importlib.import_module("pools")
ray_nodes: Any = importlib.import_module("ray_nodes")

BACK = 10.0  # seconds from a node's death until another serves
RAYS_OWN = 75.0  # after 60 s without a head all of Ray ends, if it is not told otherwise
# Ray takes a node that is cut off for a living one, and places workers there, for a minute by its own measure.
VARIABLES = {
    "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000", "RAY_health_check_failure_threshold": "3",
}  # fmt: skip
KINDS = ("call", "stream", "load")


class Harm(places.Soak):  # type: ignore[misc]
    """What happens to one binding in the cluster.

    Attributes:
        back: by what happened, the seconds after which the next call had been right.
    """

    def __init__(self, nodes: Any, noted: Path, rng: random.Random) -> None:
        super().__init__(places.Place(self._open), noted, rng)
        self.back: dict[str, list[float]] = {}
        self._nodes = nodes
        self._at = 0.0

    def _open(self) -> Any:
        policy = WorkerPolicy(grace=1.0, start_timeout=60.0)
        return LollmsTTSBindingManager().require_binding("soaked", place=self._nodes.at(), policy=policy)

    def run_all(self, kills: int, deaths: int, partitions: int) -> None:
        """So many of each, and the head's end."""
        with self._place.open() as self._tts:
            for n in range(kills):
                pid = self._pid()
                self._harm(KINDS[n % 3], "killed", lambda pid=pid: self._kill(pid))  # type: ignore[misc]
            for n in range(deaths):
                self._pid()
                address = ray_nodes.node_of(self._tts)
                self._harm(KINDS[n % 3], "node killed", lambda address=address: self._nodes.kill_node(address))  # type: ignore[misc]
                self._nodes.start_node(address)
            for n in range(partitions):
                self._pid()
                address = ray_nodes.node_of(self._tts)
                host = self._nodes.others[address]
                self._harm(KINDS[n % 3], "cut off", lambda host=host: host.cut("silent"))  # type: ignore[misc]
                host.mend()
                self._again(address)
        slow = [f"{seconds:.1f}" for seconds in self.back.get("node killed", ()) if seconds > BACK]
        self.wrong += [f"service was back after {', '.join(slow)} s (limit {BACK:g})"] if slow else []

    def lose_the_head(self) -> None:
        """It is killed in the middle of a call."""
        with self._place.open() as self._tts:
            before = self._pid()
            self._hit("call", "head killed", self._nodes.kill_head)
            if self._ended["call head killed: told"]:
                self.wrong.append("a call ended with the head")
            began = time.monotonic()
            try:
                self._open().close()
                self.wrong.append("a worker was started without a head")
            except PlaceError:
                if (taken := time.monotonic() - began) > places.LIMIT:
                    self.wrong.append(f"that there is no head was told after {taken:.1f} s")
            while time.monotonic() < began + RAYS_OWN:
                if self._pid() != before:
                    self.wrong.append("a worker ended with the head")
                    break
                time.sleep(1.0)

    def _harm(self, kind: str, how: str, harm: Callable[[], object]) -> None:
        def now() -> None:
            self._at = time.monotonic()
            harm()

        self._hit(kind, how, now)
        self._pid()
        self.back.setdefault(how, []).append(time.monotonic() - self._at)

    def _again(self, address: str) -> None:
        """A node that was given up by its cluster ends; one that was not goes on."""
        time.sleep(5.0)
        if address not in self._nodes.nodes:
            self._nodes.kill_node(address)
            self._nodes.start_node(address)


def a_day(nodes: Any, seconds: float, noted: Path, rng: random.Random) -> Any:
    """On a pool of none to four."""
    policy = WorkerPolicy(wait_target=0.4, idle_timeout=seconds / 30, start_timeout=60.0)
    manager, place = LollmsTTSBindingManager(), nodes.at()
    with manager.require_binding("day", place=place, pool=(0, pools.MOST), policy=policy) as binding:
        day = pools.Day(binding, seconds, noted, rng)
        day.run()
    return day


def _install(site: Path) -> None:
    info = site / "soaked-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soaked\nVersion: 1.0\n")
    names = "soaked = soaked:SoakedTTSBinding\nday = day_binding:DayTTSBinding\n"
    (info / "entry_points.txt").write_text(f"[lollms_client.tts_bindings]\n{names}")
    (site / "soaked.py").write_text(textwrap.dedent(places._BINDING))
    (site / "day_binding.py").write_text(textwrap.dedent(pools._BINDING % pools.LENGTH))


def main() -> int:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("deaths", type=int, nargs="?", default=10)
    parser.add_argument("partitions", type=int, nargs="?", default=5)
    parser.add_argument("--day", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=27)
    parser.add_argument("--svg", type=Path)
    given = parser.parse_args()
    if os.getuid() != 0:
        print("left out, as making a network takes root")
        return 0
    rng = random.Random(given.seed)
    os.environ["LOLLMS_PLUGINS_MARKS_ENABLED"] = "0"  # which changes the bytes that are compared
    with tempfile.TemporaryDirectory() as made, ExitStack() as ending:
        _install(Path(made) / "site")
        variables = VARIABLES | {"PYTHONPATH": str(Path(made) / "site")}
        nodes = ending.enter_context(ray_nodes.cluster(cpus=4, **variables))
        ending.enter_context(nodes.here.entered())
        harm = Harm(nodes, Path(made) / "noted", rng)
        began = time.monotonic()
        harm.run_all(given.kills, given.deaths, given.partitions)
        for how, seconds in harm.back.items():
            ordered = sorted(seconds)
            print(f"{how}: {len(ordered)}, the next call right after {ordered[len(ordered) // 2]:.1f} s (median), "
                  f"{ordered[-1]:.1f} s (at most)", flush=True)  # fmt: skip
        wrong = []
        if given.day:
            (Path(made) / "day").touch()
            day = a_day(nodes, given.day, Path(made) / "day", rng)
            wrong += day.wrong()
            print(pools.drawn(day))
            print(f"{day.asked} calls, {day.killed} workers killed", flush=True)
            if given.svg is not None:
                given.svg.write_text(pools.svg(day))
        harm.lose_the_head()
        told = harm.finished()
        print(f"{time.monotonic() - began:.0f} s: {told}")
        wrong += harm.wrong
    print("\n".join(f"  BROKEN: {line}" for line in wrong) or "  fine", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
