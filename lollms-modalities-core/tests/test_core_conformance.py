"""The conformance suite bites: each planted fault is caught by the test that is meant for it. And nobody drops a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))
import planted_suites
from lollms_examples.tts import ToneTTSBinding
from lollms_modalities.testing import TTSBindingSuite, overrides
from planted_list import FAULTS, SEEN_BY_ALL, Fault

sys.path.pop(0)

Failed = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def no_hang() -> None:
    """Not here: a whole suite takes longer than one test may, and has a time limit of its own."""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """What failed of the tests that are meant for the planted faults."""
    return planted_suites.run(tmp_path_factory.mktemp("planted"), whole=False)


@pytest.fixture(scope="module")
def failed_of_all(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """What failed in the whole suites."""
    return planted_suites.run(tmp_path_factory.mktemp("planted"), whole=True)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_bites(failed: Failed, fault: Fault) -> None:
    caught = failed[fault.name]
    assert fault.test in caught, f"caught by {sorted(caught) or 'no test'} only"
    assert "(See docs/conformance.md#" in caught[fault.test], "by the promise, not by accident"


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_else_bites(failed_of_all: Failed, fault: Fault) -> None:
    caught = failed_of_all[fault.name]
    assert fault.test in caught
    assert fault.also == SEEN_BY_ALL or caught.keys() - {fault.test} <= set(fault.also)


@pytest.mark.full
def test_what_shows_in_another_process_is_caught_there(tmp_path: Path) -> None:
    failed = planted_suites.run(tmp_path, whole=False, isolated=True)
    missed = [fault.name for fault in FAULTS if fault.isolated and fault.test not in failed[fault.name]]
    assert missed == []


def test_no_false_alarm_on_bindings_of_strangers(tmp_path: Path) -> None:
    """A program, a Python library and a service, each written by somebody who knows no more than the contract."""
    support = Path(__file__).parent / "support"
    (tmp_path / "foreign.py").write_bytes((support / "foreign.py").read_bytes())
    info = tmp_path / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lollms_client.tts_bindings]\nbuzzer = foreign:BuzzerTTSBinding\n"
        "[lollms_client.tti_bindings]\nletters = foreign:LettersTTIBinding\n"
        "[lollms_client.stt_bindings]\ncounting = foreign:CountingSTTBinding\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--rootdir", str(tmp_path),
               "-c", os.devnull, str(support / "foreign_suites.py")]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_each_page_that_a_failure_names_is_there() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "conformance.md").read_text("utf-8")
    headings = {line[3:].strip().lower().replace(" ", "-") for line in page.splitlines() if line.startswith("## ")}
    import re

    source = root / "lollms-modalities-core" / "src" / "lollms_modalities" / "testing"
    named = {
        name
        for path in source.glob("*.py")
        for name in re.findall(r'"([a-z]+(?:-[a-z]+)*)"(?:,\s*[^"\n]*)?\)', path.read_text("utf-8"))
    }
    pages = {"discovery", "settings", "results", "options", "progress", "stopping", "streams", "life", "concurrency",
             "hostile-input", "media-input", "leaks", "the-guard", "arguments", "state", "the-process", "programs", "times",
             "the-smoke-test", "the-engine-fails", "speakers"}  # fmt: skip
    assert pages <= headings
    assert pages & named


def test_each_test_of_the_suite_says_what_to_write() -> None:
    from lollms_modalities import testing

    for modality in ("TTS", "TTI", "STT", "TTM", "TTV"):
        suite = getattr(testing, f"{modality}BindingSuite")
        silent = [n for n in dir(suite) if n.startswith("test_") and not (getattr(suite, n).__doc__ or "").strip()]
        assert not silent


def test_a_test_that_is_removed_is_refused() -> None:
    with pytest.raises(TypeError, match=r"TestMine removes the standard test test_used_after_close"):

        class TestMine(TTSBindingSuite):
            binding = ToneTTSBinding
            test_used_after_close = None


def test_a_test_that_is_overridden_without_a_reason_is_refused() -> None:
    with pytest.raises(TypeError, match=r"overrides the standard test test_used_after_close: say why"):

        class TestMine(TTSBindingSuite):
            binding = ToneTTSBinding

            def test_used_after_close(self) -> None: ...

    with pytest.raises(TypeError, match="wants a reason"):
        overrides("because")

    class TestFine(TTSBindingSuite):
        binding = ToneTTSBinding

        @overrides("The engine has no end: it is part of the operating system.")
        def test_used_after_close(self) -> None: ...


@pytest.mark.parametrize("bound", [None, 0, 1000.0, float("inf")])
def test_the_bound_of_stopping_may_be_raised_but_not_dropped(bound: float | None) -> None:
    with pytest.raises(AssertionError, match="stop_within is a number of seconds"):

        class TestMine(TTSBindingSuite):
            binding = ToneTTSBinding
            stop_within = bound  # type: ignore[assignment]


def test_each_suite_has_enough_tests() -> None:
    from lollms_modalities import testing

    for name in ("TTS", "TTI", "STT", "TTM", "TTV"):
        suite = getattr(testing, f"{name}BindingSuite")
        assert sum(attribute.startswith("test_") for attribute in dir(suite)) >= 25


@pytest.mark.parametrize(
    ("line", "told"), [("", []), ("os.fdopen(os.open('x', os.O_CREAT | os.O_WRONLY), 'w')", ["x"])]
)
def test_what_python_compiles_is_no_side_effect_of_an_import(
    line: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lollms_modalities.testing.identity import _imported

    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fresh.py").write_text(f"import os\n{line}\n")
    done = _imported("fresh", str(tmp_path))
    happened = json.loads(done.stdout.rpartition("@@")[2])
    assert [one for one in happened if " for writing" in one] == [f"open {name} for writing" for name in told], done
    assert [*(tmp_path / "__pycache__").glob("fresh.*.pyc")]
