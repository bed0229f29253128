"""``lollms jobs``: of a server of this machine, and of another."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lollms_modalities import ConfigurationError, LollmsError, Video
from lollms_server.commands import jobs
from lollms_server.room.keys import Keys
from waiting import wait_until

CONFIGURATION = """
[serve]
port = 0
keys_file = {keys}
[models.ball]
binding = "example"
modality = "ttv"
isolated = false
[models.ears]
binding = "example"
modality = "stt"
isolated = false
"""


class Served(NamedTuple):
    """A server: its address, and what is typed to reach it at its socket; a key of it."""

    address: str
    here: list[str]
    key: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    file, log = folder / "serve.toml", folder / "log"
    file.write_text(CONFIGURATION.format(keys=json.dumps(str(folder / "keys.json"))))
    key = Keys(folder / "keys.json").add("anna")
    here = ["--config", str(file), "--socket", str(folder / "s.sock")]
    with log.open("w") as errors:
        process = subprocess.Popen([sys.executable, "-m", "lollms_client", "serve", *here], stderr=errors)
    try:
        wait_until(lambda: "Serving at" in log.read_text() or process.poll() is not None, 60)
        (address,) = re.findall(r"Serving at (\S+)", log.read_text())
        yield Served(address, here, key)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(params=["here", "there"])
def way(request: pytest.FixtureRequest, served: Served, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is typed to reach the server."""
    if request.param == "here":
        return served.here
    monkeypatch.setenv("LOLLMS_SERVER_KEY", served.key)
    return ["--server", served.address]


def film(served: Served, prompt: str = "a ball", frames: int = 8) -> str:
    body = json.dumps({"prompt": prompt, "model": "ball", "num_frames": frames}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {served.key}"}
    with urllib.request.urlopen(urllib.request.Request(f"{served.address}/v1/videos", body, headers)) as answer:
        made: dict[str, Any] = json.loads(answer.read())
    return str(made["id"])


def test_a_job_is_watched_and_fetched(
    served: Served, way: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    job = film(served)
    assert jobs(["watch", *way, job]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{job}  ball generate_video, completed, ")
    assert jobs(["get", *way, job]) == 0
    assert f"Saved {job}.mp4" in capsys.readouterr().err
    assert Video((tmp_path / f"{job}.mp4").read_bytes()).num_frames == 8
    assert jobs(["get", *way, job, "--file", "1", "-o", "picture.webp"]) == 0
    assert (tmp_path / "picture.webp").read_bytes()[8:12] == b"WEBP"
    assert {path.name for path in tmp_path.iterdir()} == {f"{job}.mp4", "picture.webp"}
    assert jobs(["list", *way, "--status", "completed", "--json"]) == 0
    assert job in {row["id"] for row in json.loads(capsys.readouterr().out.partition("Saved")[0])}
    assert jobs(["list", *way, "--status", "failed"]) == 0
    assert capsys.readouterr().out == ""
    assert jobs(["cancel", *way, job]) == 1
    assert "had ended already: completed" in capsys.readouterr().err


def test_a_folder_holds_it_and_a_pipe_is_written_to(
    served: Served, way: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = film(served)
    (folder := tmp_path / "films").mkdir()
    os.mkfifo(pipe := tmp_path / "pipe")
    assert jobs(["get", *way, job, "--wait", "-o", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == [f"{job}.mp4"]
    assert f"Saved {folder / job}.mp4." in capsys.readouterr().err
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(pipe.read_bytes)
        assert jobs(["get", *way, job, "-o", str(pipe)]) == 0
        assert read.result(30) == (folder / f"{job}.mp4").read_bytes()
    assert pipe.is_fifo()
    (kept := tmp_path / "kept.mp4").write_text("before")
    with pytest.raises(LollmsError):
        jobs(["get", *way, job, "--file", "9", "-o", str(kept)])
    assert kept.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"films", "pipe", "kept.mp4"}


def test_a_job_is_cancelled(served: Served, way: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    job = film(served, frames=2000)
    assert jobs(["cancel", *way, job]) == 0
    assert jobs(["watch", *way, job]) == 1
    assert "cancelled" in capsys.readouterr().out
    with pytest.raises(LollmsError, match="is cancelled: there is no content"):
        jobs(["get", *way, job, "-o", os.devnull])


def test_what_is_not_there_is_told(way: list[str], tmp_path: Path) -> None:
    for words in (["watch", "../x"], ["get", "video_0"], ["cancel", "a b"]):
        with pytest.raises(LollmsError, match="There is no job"):
            jobs([words[0], *way, *words[1:]])
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_answer_is_told(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LollmsError, match="does not answer"):
        jobs(["list", "--server", "http://127.0.0.1:1"])
    for address in ("localhost:9610", "ftp://x", "http://"):
        with pytest.raises(ConfigurationError, match="no address of a server"):
            jobs(["list", "--server", address])
    with pytest.raises(ConfigurationError, match="No server answers"):
        jobs(["list", "--socket", str(tmp_path / "none.sock")])
    monkeypatch.delenv("LOLLMS_SERVER_KEY", raising=False)
    with pytest.raises(LollmsError, match="no key in the request"):
        jobs(["list", "--server", served.address])
    with pytest.raises(ConfigurationError, match="--limit"):
        jobs(["list", *served.here, "--limit", "0"])
