"""What runs the checks of a GPU day: a check that goes wrong is told, and the others are done all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import wait_until

from gpu.findings import Check, Figure, Outcome, in_order
from gpu.report import Report, good
from gpu.run import _tree
from gpu.running import planned, run
from gpu.worker import Setup

ROOT = Path(__file__).parents[1]


def setup(folder: Path) -> Setup:
    return Setup("gpu_faults", "cpu", True, (folder,), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stage has left in which everything goes wrong."""
    folder = tmp_path_factory.mktemp("gpu")
    checks = planned("gpu_faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPU_FAULTS_CHILD", str(folder / "child"))
        report = Report(folder / "out", "gpu_faults", len(checks))
        found = run(setup(folder), report, checks, 120.0, lambda outcome: None)
    assert report.whole
    assert not good(found)
    return folder


def outcomes(folder: Path) -> dict[str, Outcome]:
    told = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return {each["name"]: Outcome(**each) for each in told["outcomes"]}


def test_each_check_is_told_in_its_order(folder: Path) -> None:
    told = {name: outcome.status for name, outcome in outcomes(folder).items()}
    assert list(told.items()) == [
        ("first of all", "passed"),
        ("raises", "failed"),
        ("after it", "passed"),
        ("hangs", "over its time"),
        ("dies", "died"),
        ("needs a card", "not here"),
        ("after all that", "passed"),
        ("last of all", "passed"),
    ]


def test_a_failure_has_its_traceback_and_what_was_seen_before(folder: Path) -> None:
    raised = outcomes(folder)["raises"]
    assert raised.said == "ValueError: as planned"
    assert "raise ValueError" in raised.traceback
    assert list(raised.notes) == ["seen before it failed"]
    assert outcomes(folder)["dies"].said == "its process ended with 7"
    assert outcomes(folder)["hangs"].seconds < 30
    text = (folder / "out" / "report.md").read_text("utf-8")
    assert "## raises: failed" in text
    assert "raise ValueError" in text


def test_what_failed_leaves_nothing_to_the_next(folder: Path) -> None:
    found = outcomes(folder)
    assert len({found[name].notes[0] for name in ("first of all", "after it", "after all that")}) == 3
    wait_until(lambda: all_gone(folder / "child"), 20)


def all_gone(file: Path) -> bool:
    """Whether the check that hung, and what it had started, are no more."""
    pids = file.read_text().split() if file.exists() else []
    return bool(pids) and all(map(gone, map(int, pids)))


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


PROGRAM = """
import sys
from pathlib import Path
from gpu.findings import Check
from gpu.report import Report
from gpu.running import planned, run
from gpu.worker import Setup

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    checks = [check._replace(seconds=600) for check in planned("gpu_faults", "hangs")]
    setup = Setup("gpu_faults", "cpu", True, (folder,), folder)
    run(setup, Report(folder, "gpu_faults", 1), checks, 600, print)
"""


def test_a_check_that_hangs_ends_with_whoever_runs_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    child = tmp_path / "child"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    environment = os.environ | {"GPU_FAULTS_CHILD": str(child), "PYTHONPATH": paths}
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py"), str(tmp_path)], env=environment) as running:
        wait_until(lambda: child.exists() and len(child.read_text().split()) == 2, 60)
        assert not all_gone(child)
        running.kill()
    wait_until(lambda: all_gone(child), 20)


def test_figures_stand_beside_others_with_their_goals(folder: Path) -> None:
    text = (folder / "out" / "report.md").read_text("utf-8")
    assert "| a thing | 1 s | another | 4 s | 0.250 | at most 0.5: met |" in text
    assert "goals missed: 1" in text
    assert "it \\| was seen" in text
    assert Figure("x", 3, "s", "y", 1, goal=2, more=True).verdict == "met"
    assert Figure("x", 1, "s", "y", 1, goal=2, more=True).verdict == "MISSED"


def test_the_report_of_a_run_that_is_cut_tells_what_there_was(tmp_path: Path) -> None:
    checks = planned("gpu_faults", "first")
    report = Report(tmp_path, "gpu_faults", 3)
    run(setup(tmp_path), report, checks, 60.0, lambda outcome: None)
    told = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (told["whole"], [each["status"] for each in told["outcomes"]]) == (False, ["passed"])
    assert told["facts"]["Python"]
    assert "2 not yet run" in (tmp_path / "report.md").read_text("utf-8")


def test_what_has_no_time_left_is_told(tmp_path: Path) -> None:
    checks = planned("gpu_faults")
    report = Report(tmp_path, "gpu_faults", len(checks))
    found = run(setup(tmp_path), report, checks, 0.0, lambda outcome: None)
    assert {outcome.status for outcome in found} == {"no time left"}
    assert not good(found)


def test_a_machine_without_git_is_told_what_was_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu.run.ROOT", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert _tree() == "unknown"
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "tree.txt").write_text("v2.0-7-gabc\n")
    assert _tree() == "v2.0-7-gabc"


def test_two_checks_of_one_name_are_refused() -> None:
    check = Check("x", "figure", 1, lambda bench: None)
    with pytest.raises(ValueError, match="x"):
        in_order([check, check])
