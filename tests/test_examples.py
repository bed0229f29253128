"""The Python in the README and the docs runs as it is printed; what asks a server asks one on loopback."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lollms_modalities import Audio, Image
from loopback import Reply, serving

ROOT = Path(__file__).parent.parent
# Where an environment's installer finds the wheels that are tested.
LINKS = [os.environ[name] for name in ("LOLLMS_WHEELS", "PIP_FIND_LINKS") if os.environ.get(name)]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
SERVER = "http://localhost:9600"  # of the examples
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("packages/*/README.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_examples_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run one after the other in one program, in an empty folder."""
    program = "\n".join(BLOCK.findall(page.read_text("utf-8")))
    image = base64.b64encode(Image.from_pixels(np.zeros((16, 16, 3), np.uint8))).decode()
    routes = {
        "GET /tts_is_ready": Reply({"status": True}),
        "POST /tts/file": Reply(bytes(Audio.from_pcm(bytes(16000), 16000))),
        "POST /v1/images/generations": Reply({"data": [{"b64_json": image}]}),
    }
    with serving(routes) as server:
        program = program.replace(SERVER, server.url)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "PIP_FIND_LINKS": " ".join(LINKS)},
        )  # fmt: skip
    assert done.returncode == 0, f"{program}\n{done.stderr}"
