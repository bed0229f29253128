"""What the README and the docs print runs as it is printed; what asks a server asks one on loopback."""

from __future__ import annotations

import ast
import base64
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from lollms_modalities import Audio, Image
from loopback import Reply, serving
from printed import NEED_MODELS, PAGES, ROOT, TUTORIAL, blocks, program

# Where an environment's installer finds the wheels that are tested.
LINKS = [os.environ[name] for name in ("LOLLMS_WHEELS", "PIP_FIND_LINKS") if os.environ.get(name)]
SERVER = "http://localhost:9600"  # of the examples
# ``test_tutorial.py``, ``test_server_api_docs.py`` and ``test_server_jobs_docs.py`` run them.
ELSEWHERE = (TUTORIAL, ROOT / "docs" / "server-api.md", ROOT / "docs" / "serving" / "jobs.md")
RUN = [page for page in PAGES if page not in (*NEED_MODELS, *ELSEWHERE) and program(page)]
# "" is what a program prints, a tree of files, or the README's two commands, which CI runs.
KINDS = ("", "python", "bash", "toml", "text", "json")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_every_block_is_of_a_kind_that_is_tested(page: Path) -> None:
    """Python is run or type-checked, TOML and JSON are parsed, what a shell or Node.js runs is run by other tests."""
    for block in blocks(page):
        if page == TUTORIAL and block.kind.startswith("python title="):
            ast.parse(block.text)
            continue
        assert block.kind in KINDS or (page in ELSEWHERE and block.kind in ("sh", "js"))
        if block.kind == "python":
            ast.parse(block.text)
        elif block.kind == "toml":
            tomllib.loads(block.text)
        elif block.kind == "json":
            json.loads(block.text)
        elif block.kind == "":
            assert "import " not in block.text, "Python without its fence is run by nobody"


@pytest.mark.parametrize("page", RUN, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_examples_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run one after the other in one program, in an empty folder."""
    text = program(page)
    image = base64.b64encode(Image.from_pixels(np.zeros((16, 16, 3), np.uint8))).decode()
    routes = {
        "GET /tts_is_ready": Reply({"status": True}),
        "POST /tts/file": Reply(bytes(Audio.from_pcm(bytes(16000), 16000))),
        "POST /v1/images/generations": Reply({"data": [{"b64_json": image}]}),
    }
    with serving(routes) as server:
        text = text.replace(SERVER, server.url)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "PIP_FIND_LINKS": " ".join(LINKS)},
        )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stderr}"
