"""The tutorial, as it is printed: its commands are run and its files written, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
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
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=_environment(tmp_path, wheels),
        capture_output=True,
        text=True,
        timeout=GOAL,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    suites = re.findall(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert len(suites) == 3, done.stdout
    assert all(int(count) >= 40 for count in suites)
    assert "smooth" in done.stdout.lower(), "what piper said, sphinx heard"
    listed = done.stdout.rpartition("passed")[2]
    assert re.search(r"\bsphinx\b.*lollms-sphinx", listed), listed
    assert project.joinpath("dist/lollms_sphinx-0.1.0-py3-none-any.whl").is_file()


def _environment(folder: Path, wheels: str) -> dict[str, str]:
    """As a user's shell has it: nothing of the environment that runs the tests, and pip finds our wheels."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "LOLLMS_"))
    }
    return {
        **kept,
        "PIP_FIND_LINKS": " ".join(filter(None, (wheels, kept.get("PIP_FIND_LINKS")))),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }


@pytest.fixture(scope="session")
def wheels() -> str:
    """The folder of wheels, built by the session that runs the tests."""
    return os.environ["LOLLMS_WHEELS"]
