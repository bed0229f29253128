"""A stage of checks that go wrong in every way, and of some that do not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from gpu.bench import Bench
from gpu.findings import Check, NotHere


def _passes(bench: Bench) -> None:
    bench.figure("a thing", 1.0, "s", beside="another", other=4.0, goal=0.5)
    bench.figure("the same, too slow", 3.0, "s", beside="another", other=4.0, goal=0.5)
    bench.note("it | was seen")


def _raises(bench: Bench) -> None:
    bench.note("seen before it failed")
    raise ValueError("as planned\nwith a second line")


def _hangs(bench: Bench) -> None:
    # What it has started is to be ended with it.
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["GPU_FAULTS_CHILD"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def _dies(bench: Bench) -> None:
    os._exit(7)


def _is_not_here(bench: Bench) -> None:
    raise NotHere("it needs a card")


def _is_elsewhere(bench: Bench) -> None:
    bench.note(str(os.getpid()))


CHECKS = [
    Check("last of all", "figure", 60, _passes),
    Check("raises", "correctness", 60, _raises),
    Check("after it", "correctness", 60, _is_elsewhere),
    Check("hangs", "correctness", 1.0, _hangs),
    Check("dies", "correctness", 60, _dies),
    Check("needs a card", "correctness", 60, _is_not_here),
    Check("after all that", "correctness", 60, _is_elsewhere),
    Check("first of all", "model", 60, _is_elsewhere),
]
