"""Marks where much comes together: a server, and the conformance suite with the plug-in on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lollms_marks import verify
from serving import serving

ROOT = Path(__file__).parents[3]
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.tone]
binding = "example"
modality = "tts"
[plugins.marks]
producer = "Served Ltd"
"""


def test_served_files_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOLLMS_PLUGINS_MARKS_ENABLED", "")
    with serving(tmp_path, CONFIGURATION) as server:
        for name in ("wav", "mp3", "flac", "opus"):
            asked = {"model": "tone", "input": "hi", "response_format": name}
            reply = server.ask("POST", "/v1/audio/speech", asked)
            assert reply.status == 200
            path = tmp_path / f"x.{name}"
            path.write_bytes(reply.body)
            report = verify(path)
            assert (report.status, report.generated) == ("whole", True)
            assert report.findings[0].details["producer"] == "Served Ltd"


def conformance(*words: str) -> None:
    suites = ROOT / "examples" / "lollms-examples" / "tests" / "test_lollms_examples_conformance.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(suites)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"LOLLMS_PLUGINS_MARKS_ENABLED": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_the_conformance_suite_where_results_are_compared() -> None:
    conformance("-m", "not full", "-k", "a_seed_repeats or instances_are_independent")


@pytest.mark.full
def test_the_whole_conformance_suite() -> None:
    conformance()


@pytest.mark.full
def test_the_whole_conformance_suite_isolated() -> None:
    conformance("--lollms-isolated")
