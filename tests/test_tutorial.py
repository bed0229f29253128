"""The tutorial, as it is printed: its commands are run and its files written, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(bash|python title=\"(?P<path>[^\"]+)\")\n(?P<text>.*?)```", re.DOTALL)
GOAL = 600.0  # seconds: ten minutes to a binding


def test_the_tutorial_makes_a_binding(tmp_path: Path, wheels: str) -> None:
    page = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    project = tmp_path / "sphinx"
    script = ["set -euo pipefail"]
    for number, block in enumerate(BLOCK.finditer(page)):
        if block["path"] is None:
            script.append(block["text"])
            continue
        # Written where the commands before it have gone.
        kept = tmp_path / f"block-{number}"
        kept.write_text(block["text"], "utf-8")
        script.append(f"test -e {block['path']} && cp {kept} {block['path']}")
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True, timeout=GOAL,
        env={"PIP_FIND_LINKS": wheels, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HOME": str(tmp_path), **_kept()},
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    suites = re.findall(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert len(suites) == 3, done.stdout
    assert all(int(count) >= 40 for count in suites)
    assert "smooth" in done.stdout.lower(), "what piper said, sphinx heard"
    listed = done.stdout.rpartition("passed")[2]
    assert re.search(r"\bsphinx\b.*lollms-sphinx", listed), listed
    assert project.joinpath("dist/lollms_sphinx-0.1.0-py3-none-any.whl").is_file()
    print(f"the tutorial took {time.monotonic() - began:.0f} s")


def _kept() -> dict[str, str]:
    kept = ("PATH", "TMPDIR", "LANG", "PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT",
            "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "XDG_CACHE_HOME")  # fmt: skip
    return {name: os.environ[name] for name in kept if name in os.environ}


@pytest.fixture(scope="session")
def wheels() -> str:
    """The folder of wheels, built by the session that runs the tests."""
    return os.environ["LOLLMS_WHEELS"]
