"""``lollms serve`` on a card, under clients that all ask at once."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gpu import card
from gpu.bench import Bench
from gpu.checks.sharing import at_once
from gpu.findings import Check
from gpu.models.sounds import VOICE

CLIENTS = 16
_SERVE = "import sys; from lollms_client.__main__ import main; sys.argv[0] = 'lollms'; sys.exit(main())"
_START = 60.0


@contextmanager
def served(bench: Bench) -> Iterator[int]:
    """The port of a server of ``painter`` (SDXL) and ``speaker`` (Bark), each in a worker of its own."""
    tables = {
        "painter": ("diffusers", "tti", {"model_id_or_path": str(bench.models.folder("sdxl"))}),
        "speaker": ("bark", "tts", {"model_name": str(bench.models.folder("bark-small")), "default_voice": VOICE}),
    }
    with tempfile.TemporaryDirectory() as folder:
        lines = ["[serve]", "port = 0", f"keys_file = {json.dumps(f'{folder}/keys.json')}",
                 f"socket = {json.dumps(f'{folder}/s')}", "max_queue = 64"]  # fmt: skip
        for name, (binding, modality, settings) in tables.items():
            lines += [f"[models.{name}]", f'binding = "{binding}"', f'modality = "{modality}"']
            lines += [f"[models.{name}.settings]"]
            lines += [f"{key} = {json.dumps(value)}" for key, value in bench.settings(**settings).items()]
        file, log = Path(folder, "serve.toml"), Path(folder, "log")
        file.write_text("\n".join(lines) + "\n", "utf-8")
        with log.open("w") as out:
            command = [sys.executable, "-c", _SERVE, "serve", "--no-page", "--config", str(file)]
            process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield _port(process, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + _START
    while not (found := re.search(r"Serving at http://127\.0\.0\.1:(\d+)", log.read_text("utf-8"))):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"The server does not begin: {log.read_text('utf-8')}")
        time.sleep(0.05)
    return int(found[1])


def _ask(port: int, path: str, body: dict[str, Any]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {answer[:500].decode('utf-8', 'replace')}")
        return answer
    finally:
        connection.close()


def images(bench: Bench) -> None:
    """SDXL: requests that are alike are drawn together, those that have a seed one by one."""
    side = bench.size(1024, 64)
    body = {"model": "painter", "prompt": "a lighthouse", "size": f"{side}x{side}",
            "num_inference_steps": bench.size(4, 2), "response_format": "b64_json"}  # fmt: skip

    def draw(port: int, more: dict[str, Any]) -> bytes:
        told = json.loads(_ask(port, "/v1/images/generations", {**body, **more}))
        return base64.b64decode(told["data"][0]["b64_json"])

    _measure(bench, "SDXL, an image", draw, b"\x89PNG")


def speech(bench: Bench) -> None:
    """Bark: the same of sentences."""
    body = {"model": "speaker", "input": "A sentence of one client.", "response_format": "wav"}

    def speak(port: int, more: dict[str, Any]) -> bytes:
        return _ask(port, "/v1/audio/speech", {**body, **more})

    _measure(bench, "Bark, a sentence", speak, b"RIFF")


def _measure(bench: Bench, what: str, ask: Callable[[int, dict[str, Any]], bytes], begins: bytes) -> None:
    count = bench.size(CLIENTS, 4)
    with served(bench) as port:

        def clients(seeds: bool) -> float:
            made: list[bytes] = []

            def act() -> None:
                given = [{"seed": number} if seeds else {} for number in range(count)]
                made.extend(at_once([partial(ask, port, more) for more in given]))

            taken = card.seconds("cpu", act)
            assert all(one.startswith(begins) for one in made), "an answer is not what was asked for"
            assert len(set(made)) == count, "two clients were given the same"
            return taken / count

        ask(port, {})  # which loads the model
        clients(False)
        together, one_by_one = clients(False), clients(True)
    goal = 0.67 if bench.on_card else None
    bench.figure(f"served {what}, {count} clients at once, each", together, "s",
                 beside="one by one, for their seeds", other=one_by_one, goal=goal)  # fmt: skip


CHECKS = [
    Check("server/16 clients for images", "figure", 150, images),
    Check("server/16 clients for speech", "figure", 120, speech),
]
