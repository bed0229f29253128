"""Marks where much comes together: a server, and the conformance suite with the plug-in on."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lollms_marks import verify
from serving import Server, form, serving
from waiting import wait_until

ROOT = Path(__file__).parents[3]
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.tone]
binding = "example"
modality = "tts"
[models.discs]
binding = "example"
modality = "tti"
[models.films]
binding = "example"
modality = "ttv"
[models.chords]
binding = "example"
modality = "ttm"
[plugins.marks]
producer = "Served Ltd"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOLLMS_PLUGINS_MARKS_ENABLED", "")
        with serving(tmp_path_factory.mktemp("served"), CONFIGURATION) as served:
            yield served


def look(data: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "looked-at"
    path.write_bytes(data)
    report = verify(path)
    assert (report.status, report.generated) == ("whole", True)
    details = dict(report.findings[0].details)
    assert details["producer"] == "Served Ltd"
    return details


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "opus", "aac"])
def test_served_speech_is_marked(server: Server, name: str, tmp_path: Path) -> None:
    """What comes in parts while it is made, as all of it does here."""
    reply = server.ask("POST", "/v1/audio/speech", {"model": "tone", "input": "hi", "response_format": name})
    assert reply.status == 200
    look(reply.body, tmp_path)


def test_served_images_are_marked_and_edits_name_what_they_were_made_of(server: Server, tmp_path: Path) -> None:
    def images(reply: Any) -> list[bytes]:
        assert reply.status == 200, reply.body
        return [base64.b64decode(row["b64_json"]) for row in reply.json["data"]]

    for name in ("png", "jpeg", "webp"):
        asked = {"model": "discs", "prompt": "a disc", "n": 2, "size": "64x64", "output_format": name}
        drawn = images(server.ask("POST", "/v1/images/generations", asked))
        assert len({look(image, tmp_path)["id"] for image in drawn}) == 2
    body, headers = form({"model": "discs", "prompt": "redder", "image": ("x.webp", drawn[0])})
    (edited,) = images(server.ask("POST", "/v1/images/edits", body, headers))
    assert look(edited, tmp_path)["inputs"] == [look(drawn[0], tmp_path)["id"]]


@pytest.mark.parametrize(("what", "model", "more"), [("videos", "films", {"size": "64x48"}), ("music", "chords", {})])
def test_what_jobs_make_is_marked(server: Server, what: str, model: str, more: dict[str, Any], tmp_path: Path) -> None:
    asked = server.ask("POST", f"/v1/{what}", {"model": model, "prompt": "a dance", "seconds": "1", **more})
    place = f"/v1/{what}/{asked.json['id']}"
    wait_until(lambda: server.ask("GET", place).json["status"] not in ("queued", "in_progress"))
    look(server.ask("GET", f"{place}/content").body, tmp_path)


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
