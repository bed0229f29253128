"""The suites of the planted faults, with the test that is meant for each.

``python planted_suites.py`` prints the table of faults and of the tests that caught them; ``... NAME NAME`` of these.
Suites run in one process after another, as an author's do: what one fault spoils is not there for the next. All of them
whole take three quarters of an hour, most of it waiting: two such processes share them, each with a folder of its own for
what is temporary.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from planted_list import FAULTS

HERE = Path(__file__).parent


def install(folder: Path) -> None:
    """The planted bindings as a distribution."""
    for name in {
        "planted_arguments",
        "planted_process",
        "planted_times",
        "planted_verbs",
        *(fault.module for fault in FAULTS),
    }:
        (folder / f"{name}.py").write_text((HERE / f"{name}.py").read_text("utf-8"), "utf-8")
    info = folder / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    groups: dict[str, list[str]] = {}
    for fault in FAULTS:
        groups.setdefault(fault.suite.lower(), []).append(f"{fault.name.lower()} = {fault.module}:{fault.name}\n")
    lines = [f"[lollms_client.{modality}_bindings]\n{''.join(names)}" for modality, names in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))


def run(folder: Path, *, whole: bool, isolated: bool = False, only: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    """Run every suite, or of each the test that is meant for its fault: what failed, with what it said.

    ``isolated``: those that show in another process, too, each in one. ``only``: of these faults.
    """
    install(folder)
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", "--tb=line", f"--junitxml={report}",
               "--rootdir", str(folder), "-c", os.devnull, str(HERE / "planted_suites.py"),
               *(["--lollms-isolated"] if isolated else []), *(["-n", "2", "--dist", "loadscope"] if whole else [])]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(folder), "LOLLMS_PLANTED": str(folder), "LOLLMS_PLANTED_WHOLE": "1" * whole,
           "LOLLMS_PLANTED_ONLY": " ".join(only), "TMPDIR": str(folder)}  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=3600 if whole else 600)
    if not report.exists():
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout}{done.stderr}")
    failed: dict[str, dict[str, str]] = {fault.name: {} for fault in FAULTS if not only or fault.name in only}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            name = str(case.get("classname")).rpartition(".")[2].removeprefix("Test")
            # Where it fails before it begins, pytest tells the error in the text alone.
            failed[name][str(case.get("name")).removeprefix("test_")] = str(bad.get("message")) + (bad.text or "")
    return failed


def _make_suites() -> None:
    from importlib import import_module

    from lollms_modalities import testing

    whole, isolated = os.environ["LOLLMS_PLANTED_WHOLE"], "--lollms-isolated" in sys.argv
    only = os.environ["LOLLMS_PLANTED_ONLY"].split()
    patience = {} if whole else {"patience": 0.5}  # what is wrong is waited for in vain
    for fault in FAULTS:
        if (isolated and not fault.isolated) or (only and fault.name not in only):
            continue
        module = import_module(fault.module)
        members = {"binding": getattr(module, fault.name), "__module__": __name__, **patience, **fault.extra}
        if fault.suite == "STT":
            members = {"sample": {"audio_path": _recording(fault.name)}, "speech": False, **members}
        base = getattr(testing, f"{fault.suite}BindingSuite")
        suite = globals()[f"Test{fault.name}"] = type(f"Test{fault.name}", (base,), members)
        if not whole:
            # Thousands of tests that nobody runs take long to be collected.
            for name in dir(suite):
                if name.startswith("test_") and name != f"test_{fault.test}":
                    setattr(suite, name, None)


def _recording(name: str) -> Path:
    """Each suite's own, in a folder of its own: there are faults that change it, and that write beside it."""
    import numpy as np
    from lollms_modalities import Audio

    sound = np.concatenate([np.zeros(16000), np.sin(np.arange(16000) / 20)])
    path = Path(os.environ["LOLLMS_PLANTED"], "recordings", name, "recording.wav")
    path.parent.mkdir(parents=True)
    Audio.from_samples(sound, 16000).save(path)
    return path


def main() -> int:
    """Print the table; 1 where a fault was not caught by the test that is meant for it."""
    with tempfile.TemporaryDirectory() as folder:
        failed = run(Path(folder), whole=True, only=sys.argv[1:])
    missed = 0
    for fault in (fault for fault in FAULTS if fault.name in failed):
        caught = failed[fault.name]
        missed += fault.test not in caught
        others = sorted(caught.keys() - {fault.test})
        print(f"{fault.name:24} {fault.test if fault.test in caught else 'NOT CAUGHT by ' + fault.test}"
              + (f"   (also {len(others)}: {', '.join(others)})" if others else ""))  # fmt: skip
    print(f"{len(failed)} faults, {len(failed) - missed} caught by the test that is meant for them")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
if "LOLLMS_PLANTED" in os.environ:
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        own = os.path.join(os.environ["LOLLMS_PLANTED"], worker)
        os.makedirs(own)
        os.environ["LOLLMS_PLANTED"] = os.environ["TMPDIR"] = tempfile.tempdir = own
        os.chdir(own)
    _make_suites()
