"""Open WebUI itself before ``lollms serve`` with a key: it lists, speaks, hears, draws and changes images, by both of
its engines for them, and once in a browser (``open_webui_browser``); the server's own memory does not grow.

``python soak/open_webui.py [--program PATH] [--seconds N] [--pictures FOLDER]``; exit 1 where something is not as it is
to be. Without a program it is installed into a folder of its own, which takes minutes and gigabytes.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from lollms_server.room.keys import Keys

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
support: Any = importlib.import_module("serving")
another_program: Any = importlib.import_module("another_program")
browser: Any = importlib.import_module("open_webui_browser")

VERSION = "0.12.4"
START = 600.0  # seconds that its start may take
MEMORY = 40e6  # that may come and go with the allocator
CONFIGURATION = """
[serve]
keys_file = KEYS
surfaces = ["openai", "lollms", "automatic1111"]
open_lists = true
[models.piper]
binding = "piper"
modality = "tts"
[models.ears]
binding = "faster_whisper"
modality = "stt"
[models.blocks]
binding = "example"
modality = "tti"
isolated = false
"""
SENTENCE = "The boy was there when the sun rose."


def installed(folder: Path) -> Path:
    """The program, in an environment in that folder."""
    uv = [sys.executable, "-m", "uv", "--no-config"]  # which leaves torch out
    subprocess.run([*uv, "venv", "-q", "--python", "3.11", str(folder)], check=True)
    python = folder / "bin" / "python"
    where = ["--python", str(python), "--torch-backend", "cpu"]
    subprocess.run([*uv, "pip", "install", "-q", *where, f"open-webui=={VERSION}"], check=True)
    return folder / "bin" / "open-webui"


@contextmanager
def running(program: Path, folder: Path, server: str, key: str, talker: str) -> Iterator[str]:
    """Open WebUI with that server for everything, and that model to talk with; its address."""
    port = another_program.free_port()
    v1 = f"{server}/v1"
    environment = {
        "HOME": str(folder), "PATH": os.environ["PATH"], "DATA_DIR": str(folder), "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "soak" * 10, "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "ENABLE_OLLAMA_API": "false",
        "OPENAI_API_BASE_URL": talker, "OPENAI_API_KEY": "none", "RAG_EMBEDDING_ENGINE": "openai",
        "ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "true", "SCARF_NO_ANALYTICS": "true",
        "AUDIO_STT_ENGINE": "openai", "AUDIO_STT_OPENAI_API_BASE_URL": v1, "AUDIO_STT_OPENAI_API_KEY": key,
        "AUDIO_STT_MODEL": "whisper-1",
        "AUDIO_TTS_ENGINE": "openai", "AUDIO_TTS_OPENAI_API_BASE_URL": v1, "AUDIO_TTS_OPENAI_API_KEY": key,
        "AUDIO_TTS_MODEL": "tts-1", "AUDIO_TTS_VOICE": "alloy",
        "ENABLE_IMAGE_GENERATION": "true", "IMAGE_GENERATION_ENGINE": "openai", "IMAGES_OPENAI_API_BASE_URL": v1,
        "IMAGES_OPENAI_API_KEY": key, "IMAGE_GENERATION_MODEL": "gpt-image-1", "IMAGE_SIZE": "64x64",
        "AUTOMATIC1111_BASE_URL": server, "AUTOMATIC1111_API_AUTH": f"soak:{key}",
    }  # fmt: skip
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]

    def answers() -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()

    with another_program.running(command, folder, environment, answers, START):
        yield f"http://127.0.0.1:{port}"


class Client:
    """Asks Open WebUI as its pages do."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.headers: dict[str, str] = {}
        token = self.ask("POST", "auths/signin", {"email": "", "password": ""})["token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def raw(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
        """What is answered."""
        headers = {**self.headers, "Content-Type": content_type}
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                data: bytes = response.read()
        except urllib.error.HTTPError as exc:
            raise RuntimeError(f"{method} {path}: {exc.code} {exc.read()[:300]!r}") from None
        return data

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The same in JSON."""
        return json.loads(self.raw(method, path, None if body is None else json.dumps(body).encode()))

    def speak(self, text: str) -> bytes:
        """MP3 of a text, which it keeps: each is to be another."""
        return self.raw("POST", "audio/speech", json.dumps({"input": text, "voice": "alloy"}).encode())

    def hear(self, sound: bytes) -> str:
        """What is said."""
        part = 'Content-Disposition: form-data; name="file"; filename="x.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
        body = b"--b\r\n" + part.encode() + sound + b"\r\n--b--\r\n"
        text: str = json.loads(self.raw("POST", "audio/transcriptions", body, "multipart/form-data; boundary=b"))[
            "text"
        ]
        return text

    def images(self, engine: str, server: str, key: str) -> None:
        """Draw and change images from now on by that engine."""
        config = self.ask("GET", "images/config")
        self.ask("POST", "images/config/update", config | {
            "IMAGE_GENERATION_ENGINE": engine, "IMAGE_STEPS": 4, "ENABLE_IMAGE_EDIT": True,
            "IMAGE_GENERATION_MODEL": "blocks", "IMAGE_EDIT_ENGINE": "openai", "IMAGE_EDIT_MODEL": "blocks",
            "IMAGES_EDIT_OPENAI_API_BASE_URL": f"{server}/v1", "IMAGES_EDIT_OPENAI_API_KEY": key,
        })  # fmt: skip

    def content(self, row: dict[str, Any]) -> bytes:
        """An image that it has kept."""
        return self.raw("GET", row["url"].removeprefix("/api/v1/"))


def one_round(client: Client, server: str, key: str) -> None:
    """Everything once; each is as it is to be."""
    assert [row["id"] for row in client.ask("GET", "audio/models")["models"]] == ["piper"]
    assert len(client.ask("GET", "audio/voices")["voices"]) >= 1
    sound = client.speak(f"{SENTENCE} {uuid.uuid4().hex[:2]}")
    assert "boy was there" in client.hear(sound).lower()
    with ThreadPoolExecutor(12) as threads:
        sounds = list(threads.map(lambda n: client.speak(f"Sentence {n}, {uuid.uuid4().hex[:3]}."), range(12)))
    assert all(len(one) > 1000 for one in sounds)
    for engine in ("openai", "automatic1111"):
        client.images(engine, server, key)
        drawn = client.ask("POST", "images/generations", {"prompt": "a cat", "size": "64x64", "n": 2})
        pictures = [client.content(row) for row in drawn]
        assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 2
    assert [row["id"] for row in client.ask("GET", "images/models")] == ["blocks"]
    given = "data:image/png;base64," + base64.b64encode(pictures[0]).decode()
    (changed,) = client.ask("POST", "images/edit", {"prompt": "a dog", "image": given})
    assert client.content(changed)[:4] == b"\x89PNG"


def main() -> int:
    """0 where all is well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program = given.program or installed(work / "environment")
        (work / "server").mkdir()
        (work / "data").mkdir()
        key = Keys(work / "server" / "keys.json").add("open-webui")
        with (
            support.serving(work / "server", CONFIGURATION) as server,
            browser.talker() as talker,
            running(program, work / "data", server.address, key, talker) as address,
        ):
            client, process, rounds = Client(address), psutil.Process(server.process.pid), 0
            client.images("automatic1111", server.address, key)
            browser.use(client, work, given.pictures)
            for _ in range(3):  # until everything is loaded
                one_round(client, server.address, key)
            before, until = process.memory_info().rss, time.monotonic() + given.seconds
            while time.monotonic() < until:
                one_round(client, server.address, key)
                rounds += 1
            grown = process.memory_info().rss - before
    how = f"memory {grown / 1e6:+.1f} MB in the last {rounds}"
    print(f"in a browser, and in {rounds + 3} rounds, all is as it is to be; {how}")
    return int(grown > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
