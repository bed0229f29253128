"""The suites of the foreign bindings, as their authors would write them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from foreign import BuzzerTTSBinding, CountingSTTBinding, LettersTTIBinding, count
from lollms_modalities import Audio
from lollms_modalities.testing import STTBindingSuite, TTIBindingSuite, TTSBindingSuite


class TestBuzzer(TTSBindingSuite):
    binding = BuzzerTTSBinding
    calls = 8


class TestLetters(TTIBindingSuite):
    binding = LettersTTIBinding


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        answer = json.dumps(count(self.rfile.read(int(self.headers["Content-Length"])))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        return


class TestCounting(STTBindingSuite):
    binding = CountingSTTBinding
    network = True
    speech = False

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _service(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        cls.settings = {"address": f"http://127.0.0.1:{server.server_port}"}
        path: Path = tmp_path_factory.mktemp("sound") / "sound.wav"
        cls.sample = {"audio_path": Audio.from_samples(0.5 * np.sin(np.arange(24000) / 20), 16000).save(path)}
        yield
        server.shutdown()
        server.server_close()
        thread.join()
