"""``lollms test-binding``: the suite on an installed binding, as a report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lollms_modalities.testing import report


def lollms(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    command = [sys.executable, "-m", "lollms_client", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)


BROKEN = '''
"""A binding whose engine is not there, and one with a fault."""
from lollms_examples.tts import ToneTTSBinding


class Dead(ToneTTSBinding):
    """Has no engine."""

    def stream_audio(self, text, voice=None, **kwargs):
        raise OSError("libdead.so: not | found")


class Loud(ToneTTSBinding):
    """Prints while it speaks."""

    def stream_audio(self, text, voice=None, **kwargs):
        print("speaking")
        yield from super().stream_audio(text, voice, **kwargs)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "broken_bindings.py").write_text(BROKEN)
    info = folder / "broken_bindings-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-bindings\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(
        "[lollms_client.tts_bindings]\ndead = broken_bindings:Dead\nloud = broken_bindings:Loud\n"
    )
    return folder


def test_a_binding_that_keeps_the_contract(tmp_path: Path) -> None:
    done = lollms("test-binding", "ttm:example", "--set", "keep_alive=60", "-o", str(tmp_path / "report.md"))
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "report.md").read_text()
    assert "| Binding | `ttm:example` |" in text
    assert "| Distribution | lollms-examples " in text
    assert "| Engine | numpy " in text
    assert "failed" not in text


def test_a_binding_with_a_fault(site: Path) -> None:
    done = lollms("test-binding", "tts:loud", "--json", path=site)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    failed = {check["name"]: check["message"] for check in told["checks"] if check["outcome"] == "failed"}
    assert list(failed) == ["nothing_is_printed"]
    assert "What to write: Use ``kit.quiet()``" in failed["nothing_is_printed"]
    assert (told["distribution"], told["distribution_version"]) == ("broken-bindings", "1.5")


def test_an_engine_that_is_dead_fails_once_and_stops_the_rest(site: Path) -> None:
    done = lollms("test-binding", "dead", path=site)
    assert done.returncode == 1, done.stderr
    assert "1 failed" in done.stdout
    assert "libdead.so: not \\| found" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert (
        sum("The engine does the suite's sample" in row or "the engine does the suite's sample" in row for row in rows)
        == 1
    )
    assert "skipped" in done.stdout


def test_what_cannot_be_tested() -> None:
    done = lollms("test-binding", "stt:example")
    assert (done.returncode, "--sample speech.wav" in done.stderr) == (2, True)
    done = lollms("test-binding", "no-such-binding")
    assert done.returncode == 1
    assert "No binding 'no-such-binding'" in done.stderr
    done = lollms("test-binding", "tts:example", "-o", "no/report.md")
    assert (done.returncode, "its folder does not exist" in done.stderr) == (2, True)
    done = lollms("test-binding", "tts:example", "--opt", "sped=2")
    assert done.returncode == 1
    assert "sped" in done.stdout


def test_without_pytest_it_says_what_to_install() -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'pytest' else real(name, *a); "
        "sys.argv = ['lollms', 'test-binding', 'tts:example']; from lollms_client.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'not installed. Run lollms install testing (pip install "lollms-client[testing]>=2.' in done.stderr


def test_settings_are_not_in_a_report() -> None:
    trial = report.Trial("tts", "x", {"api_key": "sesame"})
    made = report.Report(trial, False, {}, (report.Check("a", "failed", "a | b\nc"),), 1.0)
    assert "sesame" not in made.to_markdown() + json.dumps(made.to_json())
    assert "| a | a \\| b |" in made.to_markdown()
    assert not made.passed


@pytest.mark.full
def test_a_binding_at_a_place() -> None:
    done = lollms("test-binding", "ttm:example", "--place", "process", "--set", "keep_alive=60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", at `process` |" in done.stdout
    done = lollms("test-binding", "ttm:example", "--place", "nowhere://x")
    assert (done.returncode, "offers places with addresses nowhere://" in done.stderr) == (2, True)
