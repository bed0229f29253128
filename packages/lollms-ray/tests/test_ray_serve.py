"""``lollms serve`` whose models' workers are on the nodes of a real Ray cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from ray_environment import ray_data
from ray_nodes import RayNodes, cluster
from serving import form
from waiting import wait_until

pytestmark = pytest.mark.full
_SERVE = """
[models.voice]
binding = "example"
modality = "tts"
place = "ray://{address}"
pool = [0, 2]
wait_target = 0
idle_timeout = 3
num_cpus = 0.5

[models.ears]
binding = "faster_whisper"
modality = "stt"
[models.ears.place]
kind = "ray://{address}"
num_cpus = 0.1
resources = {{ node2 = 0.1 }}
token = {token}
"""


class Served:
    """A server on the host of the head."""

    def __init__(self, folder: Path, nodes: RayNodes) -> None:
        data = folder / "data" / "lollms"
        data.mkdir(parents=True)
        (data / "environments").symlink_to(ray_data() / "lollms" / "environments")
        file = folder / "serve.toml"
        file.write_text(_SERVE.format(address=nodes.address, token=json.dumps(str(nodes.token))), "utf-8")
        words = ["--config", str(file), "--socket", str(folder / "serve.sock"), "--port", "0"]
        variables = {"XDG_DATA_HOME": str(folder / "data"), "RAY_AUTH_TOKEN_PATH": str(nodes.token)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lollms_client", "serve", *words],
            stderr=subprocess.PIPE, text=True, env={**os.environ, **variables},
        )  # fmt: skip
        self._said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(lambda: self.process.poll() is not None or self._address(), 60)
        assert self._address(), self._said

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for line in said:
                self._said += line

    def end(self) -> None:
        """Have it end as an operator does."""
        self.process.terminate()
        assert self.process.wait(60) == 0
        self._reader.join()

    def _address(self) -> list[str]:
        return re.findall(r"Serving at (\S+)", self._said)

    def ask(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        """The answer, which is well."""
        request = urllib.request.Request(f"{self._address()[0]}{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=300) as answer:
            told: bytes = answer.read()
        return told

    def speak(self, text: str) -> bytes:
        """A WAV."""
        asked = {"model": "voice", "input": text, "voice": "low", "response_format": "wav"}
        return self.ask("/v1/audio/speech", json.dumps(asked).encode())


def workers(nodes: RayNodes, address: str) -> list[psutil.Process]:
    """Those that run on a node."""
    return [p for p in nodes.others[address].processes if "lollms_modalities.workers.listening" in p.cmdline()]


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    with cluster() as made, made.here.entered():
        yield made


@pytest.fixture(scope="module")
def served(nodes: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"), nodes)
    yield server
    server.end()


def test_models_of_a_server_run_on_the_nodes(nodes: RayNodes, served: Served) -> None:
    speech = served.speak("hi")
    assert speech[:4] == b"RIFF"
    one, two = nodes.others
    assert workers(nodes, one) or workers(nodes, two)
    with ThreadPoolExecutor(8) as pool:
        assert {answer[:4] for answer in pool.map(served.speak, ["hi " * 50] * 40)} == {b"RIFF"}
    body, headers = form({"model": "ears", "file": ("a.wav", speech)})
    assert b"text" in served.ask("/v1/audio/transcriptions", body, headers["Content-Type"])
    assert workers(nodes, two), "where it was to be"
    wait_until(lambda: not workers(nodes, one), 60)  # the elastic pool has nothing to do


def test_a_server_goes_on_when_a_node_dies(nodes: RayNodes, served: Served) -> None:
    assert served.speak("hi")
    (address,) = [a for a in nodes.others if len(workers(nodes, a)) > (a == [*nodes.others][1])]
    nodes.kill_node(address)
    wait_until(lambda: _speaks(served), 60)
    assert served.process.poll() is None


def _speaks(served: Served) -> bool:
    try:
        return served.speak("hi")[:4] == b"RIFF"
    except urllib.error.HTTPError as exc:
        if exc.code < 500:  # else its call may have been the one that was lost
            raise
        return False
