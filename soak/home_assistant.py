"""Home Assistant itself before ``lollms serve --wyoming``: both integrations are added as its pages do, a sentence is
spoken by its own service of speech and written down by that of transcription.

``python soak/home_assistant.py [--program PATH]``; exit 1 where something is not as it is to be. Without a program it
is installed into a folder of its own with Python 3.13, which takes a minute and a gigabyte; ``ffmpeg`` has to be there.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
support: Any = importlib.import_module("serving")
another_program: Any = importlib.import_module("another_program")

VERSION = "2025.4.4"  # the newest for Python 3.13.0
# Its pages, and what the integrations need, as their manifests of that version have it.
NEEDED = ("home-assistant-frontend==20250411.0", "wyoming==1.5.4", "pymicro-vad==1.0.1", "pyspeex-noise==1.0.2",
          "mutagen==1.47.0", "ha-ffmpeg==3.2.2", "hassil==2.2.3", "home-assistant-intents==2025.3.28",
          "PyTurboJPEG==1.7.5", "numpy")  # fmt: skip
START = 120.0  # seconds that its start may take
SENTENCE = "Glue the sheet to the dark blue background."
CONFIGURATION = """
[serve]
keys_file = KEYS
[serve.wyoming]
stt_port = 0
tts_port = 0
[models.piper]
binding = "piper"
settings = { default_noise_scale = 0, default_noise_w_scale = 0 }
[models.whisper]
binding = "faster_whisper"
"""


def installed(folder: Path) -> Path:
    """The program, in an environment in that folder."""
    uv = [sys.executable, "-m", "uv", "--no-config"]
    subprocess.run([*uv, "venv", "-q", "--python", "3.13", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, f"homeassistant=={VERSION}", *NEEDED], check=True)
    return folder / "bin" / "hass"


@contextmanager
def running(program: Path, folder: Path) -> Iterator[str]:
    """Home Assistant with one user, ``soak``; its address."""
    port = another_program.free_port()
    listens = f"http:\n  server_host: 127.0.0.1\n  server_port: {port}\n"
    (folder / "configuration.yaml").write_text(f"{listens}api:\nconfig:\nstt:\ntts:\nlogger:\n  default: warning\n")
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    add = [str(program), "--script", "auth", "-c", str(folder), "add", "soak", "soak-soak"]
    subprocess.run(add, check=True, env=environment, stdout=subprocess.DEVNULL)
    command = [str(program), "-c", str(folder), "--skip-pip"]

    def answers() -> None:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

    with another_program.running(command, folder, environment, answers, START):
        yield f"http://127.0.0.1:{port}"


class Client:
    """Asks Home Assistant as its pages do."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.headers: dict[str, str] = {}
        site = f"{address}/"
        flow = self.ask(
            "auth/login_flow", {"client_id": site, "handler": ["homeassistant", None], "redirect_uri": site}
        )
        who = {"client_id": site, "username": "soak", "password": "soak-soak"}
        code = self.ask(f"auth/login_flow/{flow['flow_id']}", who)["result"]
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "client_id": site}).encode()
        token = json.loads(self.raw("auth/token", form, "application/x-www-form-urlencoded"))
        self.headers["Authorization"] = f"Bearer {token['access_token']}"

    def raw(self, path: str, body: bytes | None = None, content_type: str = "application/json", **more: str) -> bytes:
        """What is answered: to a GET where there is no body."""
        headers = {**self.headers, "Content-Type": content_type, **more}
        request = urllib.request.Request(f"{self.address}/{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                data: bytes = response.read()
        except urllib.error.HTTPError as exc:
            raise RuntimeError(f"{path}: {exc.code} {exc.read()[:300]!r}") from None
        return data

    def ask(self, path: str, body: Any = None) -> Any:
        """The same in JSON."""
        return json.loads(self.raw(path, None if body is None else json.dumps(body).encode()))

    def add(self, port: int) -> str:
        """Add the integration Wyoming Protocol with that port; what it is called then."""
        flow = self.ask("api/config/config_entries/flow", {"handler": "wyoming"})
        entry = self.ask(f"api/config/config_entries/flow/{flow['flow_id']}", {"host": "127.0.0.1", "port": port})
        assert entry["type"] == "create_entry", entry
        title: str = entry["title"]
        return title

    def entity(self, kind: str) -> str:
        """The one of that kind."""
        until = time.monotonic() + 30
        while True:
            states = [row["entity_id"] for row in self.ask("api/states") if row["entity_id"].startswith(f"{kind}.")]
            if states or time.monotonic() > until:
                (only,) = states
                return str(only)
            time.sleep(0.2)


def use(client: Client, server: Any) -> str:
    """All of it; gives what was heard of what was spoken."""
    assert [client.add(port) for port in (server.hears, server.speaks)] == ["whisper", "piper"]
    hears, speaks = client.entity("stt"), client.entity("tts")
    assert {"en", "de", "fr"} <= set(client.ask(f"api/stt/{hears}")["languages"])
    wanted = {"preferred_format": "wav", "preferred_sample_rate": 16000, "preferred_sample_channels": 1}
    asked = {"engine_id": speaks, "message": SENTENCE, "language": "en-US", "options": wanted}
    sound = client.raw(client.ask("api/tts_get_url", asked)["path"].lstrip("/"))
    assert sound[:4] == b"RIFF"
    said = "format=wav; codec=pcm; sample_rate=16000; bit_rate=16; channel=1; language=en"
    told = json.loads(client.raw(f"api/stt/{hears}", sound, "audio/wav", **{"X-Speech-Content": said}))
    assert told["result"] == "success", told
    return str(told["text"])


def main() -> int:
    """0 where all is well."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path)
    given = parser.parse_args()
    assert shutil.which("ffmpeg"), "Home Assistant needs ffmpeg"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program = given.program or installed(work / "environment")
        (work / "server").mkdir()
        (work / "home").mkdir()
        with (
            support.serving(work / "server", CONFIGURATION) as server,
            running(program, work / "home") as address,
        ):
            heard = use(Client(address), server)
    print(f"Home Assistant {VERSION} has spoken and heard: {heard}")
    return int("sheet to the dark blue" not in heard.lower())


if __name__ == "__main__":
    sys.exit(main())
