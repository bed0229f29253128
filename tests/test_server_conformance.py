"""The conformance suites over ``lollms serve``: what of them is the binding's is the same as in place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUITES = {
    "packages/lollms-piper/tests/test_piper_conformance.py": 80,
    "examples/lollms-examples/tests/test_lollms_examples_conformance.py": 350,
}


@pytest.mark.full
@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.split("/")[1])
def test_the_suites_pass_over_a_server(suite: str, tmp_path: Path) -> None:
    paths = [str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "over_server", "-p", "no:cacheprovider", str(ROOT / suite),
         f"--basetemp={tmp_path / 'made'}"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= SUITES[suite]
