"""The suite run on a binding that is installed, in another process; and what came of it, for a README."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import pytest

from lollms_modalities.errors import LollmsError
from lollms_modalities.testing.modalities import (
    STTBindingSuite,
    TTIBindingSuite,
    TTMBindingSuite,
    TTSBindingSuite,
    TTVBindingSuite,
)
from lollms_modalities.testing.smoke import Smoke
from lollms_modalities.version import __version__

SUITES = {
    "tts": TTSBindingSuite, "tti": TTIBindingSuite, "stt": STTBindingSuite, "ttm": TTMBindingSuite,
    "ttv": TTVBindingSuite,
}  # fmt: skip
_FILE = """\
from lollms_modalities.testing.report import Trial, suite_of

TestBinding = suite_of(Trial.read())
"""
_TRIAL = "LOLLMS_TRIAL"  # the variable that names the file of the trial


@dataclass(frozen=True)
class Trial:
    """Which binding is tested, and how.

    Attributes:
        modality, name: which it is.
        settings: for a small model.
        sample: arguments of the main verb that give the same each time.
        long_sample: arguments that differ for a call that takes a while.
        attributes: others of the suite, such as ``stop_within`` and ``network``.
    """

    modality: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)
    long_sample: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Trial:
        """The one that this process is for."""
        return cls(**json.loads(Path(os.environ[_TRIAL]).read_text("utf-8")))


def suite_of(trial: Trial) -> type:
    """The suite of an installed binding, as its author would write it."""
    managers = import_module("lollms_modalities.finding.managers")
    manager = getattr(managers, f"Lollms{trial.modality.upper()}BindingManager")()

    def tell(self: Any, request: pytest.FixtureRequest, record_testsuite_property: Any) -> None:
        smoke: Smoke = request.getfixturevalue("smoke")
        told = getattr(smoke.result, "provenance", None)
        if told is not None:
            for name in ("binding", "distribution", "distribution_version", "engine", "engine_version"):
                record_testsuite_property(name, getattr(told, name))

    members = {
        "binding": manager.load_class(trial.name), "settings": trial.settings, "sample": trial.sample,
        "long_sample": {**SUITES[trial.modality].long_sample, **trial.long_sample}, **trial.attributes,
        "_tell": pytest.fixture(autouse=True)(tell), "__module__": __name__,
    }  # fmt: skip
    return type("TestBinding", (SUITES[trial.modality],), members)


@dataclass(frozen=True)
class Check:
    """One check: its name, "passed", "failed" or "skipped", and what it said."""

    name: str
    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What came of a trial.

    Attributes:
        trial: what was tested.
        isolated: whether in a process of its own.
        told: of the binding's provenance, by name: distribution, engine and their versions.
        checks: in the order in which they ran.
        seconds: that they took.
        place: at which it ran, or "".
    """

    trial: Trial
    isolated: bool
    told: Mapping[str, str]
    checks: tuple[Check, ...]
    seconds: float
    place: str = ""

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return bool(self.checks) and all(check.outcome == "passed" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, without settings, which may be secret."""
        return {
            "binding": f"{self.trial.modality}:{self.trial.name}",
            "isolated": self.isolated,
            "place": self.place,
            "passed": self.passed,
            "core": __version__,
            **self.told,
            "seconds": self.seconds,
            "checks": [asdict(check) for check in self.checks],
        }

    def to_markdown(self) -> str:
        """The report as a section of a README."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        told, count = self.told, {o: sum(c.outcome == o for c in self.checks) for o in ("passed", "failed", "skipped")}
        shown = ", ".join(f"{number} {outcome}" for outcome, number in count.items() if number) or "none"
        engine = f"{told.get('engine', '')} {told.get('engine_version', '')}".strip()
        yield "## Conformance"
        yield ""
        yield "| | |"
        yield "|---|---|"
        yield f"| Binding | `{self.trial.modality}:{self.trial.name}` |"
        yield f"| Distribution | {told.get('distribution', '')} {told.get('distribution_version', '')} |"
        yield f"| Engine | {engine or 'none is named'} |"
        where = f"at `{_cell(self.place)}`" if self.place else "isolated" if self.isolated else "in place"
        yield f"| Suite | lollms-modalities-core {__version__}, {where} |"
        yield f"| Run with | Python {platform.python_version()}, {platform.system()} {platform.machine()} |"
        yield f"| Checks | {shown} |"
        failed = [check for check in self.checks if check.outcome == "failed"]
        if failed:
            yield ""
            yield "| Check | What it said |"
            yield "|---|---|"
            for check in failed:
                yield f"| {check.name.replace('_', ' ')} | {_cell(check.message)} |"


def _cell(text: str) -> str:
    """Text for a cell of a table: one line, no bars, no secrets of a traceback."""
    line = text.removeprefix("AssertionError: ").partition("\n")[0]
    return line.replace("|", "\\|").replace("`", "'")[:1000]


def run(trial: Trial, *, isolated: bool = False, place: str = "", output: IO[str] | None = None) -> Report:
    """Run the suite on an installed binding, in another process.

    Args:
        trial: which binding, and how.
        isolated: with the binding in yet another process.
        place: with the binding there.
        output: where pytest writes how far it is; nowhere if None.

    Raises:
        LollmsError: pytest did not get as far as the first check.
    """
    with tempfile.TemporaryDirectory(prefix="lollms-testing-") as name:
        folder = Path(name)
        (folder / "trial.json").write_text(json.dumps(asdict(trial), default=str), "utf-8")
        (folder / "test_binding.py").write_text(_FILE, "utf-8")
        report = folder / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider",
                   f"--junitxml={report}", "--rootdir", name, "-c", os.devnull, "test_binding.py"]  # fmt: skip
        done = subprocess.run(
            [*command, *["--lollms-isolated"] * isolated, *([f"--lollms-place={place}"] if place else [])],
            cwd=folder,
            env={**os.environ, _TRIAL: str(folder / "trial.json")},
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if not report.exists():
            said = (done.stdout or b"").decode("utf-8", "replace").strip()[-500:]
            raise LollmsError(f"The suite did not run: pytest ended with the code {done.returncode}. {said}")
        return replace(_read(report, trial, isolated), place=place)


def _read(path: Path, trial: Trial, isolated: bool) -> Report:
    root = ElementTree.parse(path).getroot()
    checks: dict[str, Check] = {}
    for case in root.iter("testcase"):
        name = str(case.get("name")).removeprefix("test_")
        bad = next((found for kind in ("failure", "error") if (found := case.find(kind)) is not None), None)
        if bad is not None:
            checks[name] = Check(name, "failed", _said(bad))
        elif name not in checks:
            checks[name] = Check(name, "skipped" if case.find("skipped") is not None else "passed")
    told = {str(p.get("name")): str(p.get("value")) for p in root.iter("property")}
    return Report(trial, isolated, told, tuple(checks.values()), float(next(root.iter("testsuite")).get("time") or 0))


def _said(bad: ElementTree.Element) -> str:
    # Of what fails before a test begins, pytest tells the error in the text alone.
    lines = [line[1:].strip() for line in (bad.text or "").splitlines() if line.startswith("E ")]
    message = str(bad.get("message") or "")
    return lines[0] if lines and "failed on setup" in message else message
