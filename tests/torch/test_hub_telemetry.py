"""What the libraries that fetch from the hub ask it for: the model's files, and nothing that tells of the user."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

# As a binding's import begins; then the library by itself, as bindings call it.
PROGRAM = """
import sys, threading
from lollms_modalities.kit import switch_off_telemetry
if sys.argv[1] == "off":
    switch_off_telemetry()
from transformers import BertModel
BertModel.from_pretrained("owner/model")
for thread in threading.enumerate():
    if "conversion" in thread.name:
        thread.join()
"""


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """A hub with one model, of which the weights are no safetensors; and the paths that it is asked for."""
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=10,
        max_position_embeddings=8,
    )  # fmt: skip
    weights = io.BytesIO()
    torch.save(BertModel(config).state_dict(), weights)
    files = {
        "config.json": json.dumps({**config.to_dict(), "architectures": ["BertModel"]}).encode(),
        "pytorch_model.bin": weights.getvalue(),
    }
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            body = files.get(path.rpartition("/")[2], b"") if "/resolve/" in path else b""
            self.send_response(200 if body else 404)
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("ETag", f'"{len(body)}"') if body else self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_POST = do_GET

        def log_message(self, *args: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.mark.parametrize("telemetry", [pytest.param("off", marks=pytest.mark.full), "on"])
def test_the_hub_is_asked_for_files_only(telemetry: str, hub: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = hub
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, telemetry], capture_output=True, text=True, timeout=300, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_ENDPOINT": url, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # A list of programs that write programs, to see whether it runs in one; and what begins a conversion of the weights.
    told = {path for path in asked if path == "/api/agent-harnesses" or path == "/api/models/owner/model"}
    assert "/owner/model/resolve/main/pytorch_model.bin" in asked
    if telemetry == "off":
        assert told == set()
    else:
        assert told, "the hub sees what is asked"
