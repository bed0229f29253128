"""The commands of the docs, as they are printed, in empty folders and environments: the first minute, the tutorial."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lollms_modalities import probe_audio
from printed import ROOT, TUTORIAL, blocks
from waiting import wait_until

MINUTE = 60.0
# No chance in what is heard: the voice speaks each time alike.
CONFIG = "[tts.piper]\ndefault_noise_scale = 0.0\ndefault_noise_w_scale = 0.0\n"


def test_the_first_minute(tmp_path: Path, wheels: str) -> None:
    """The commands of the first page, in an empty environment."""
    (commands,) = (block.text for block in blocks(ROOT / "docs" / "index.md") if block.kind == "bash")
    # With pip in it, in a tenth of the time that ``python -m venv`` takes.
    command = [sys.executable, "-m", "uv", "venv", "-q", "--seed", "--python", sys.executable, str(tmp_path / "venv")]
    subprocess.run(command, check=True)
    began = time.monotonic()
    said = run(f". venv/bin/activate\n{commands}", tmp_path, wheels)
    assert time.monotonic() - began < 10 * MINUTE
    assert (tmp_path / "lemons.mp3").stat().st_size > 5000
    assert re.search(r"juice of (the )?lemons makes fine punch", said.lower()), (
        "as tiny.en hears the voice without chance"
    )


@pytest.mark.full
def test_the_first_minute_of_a_server(tmp_path: Path, wheels: str) -> None:
    """The commands of its page, in an empty environment; at a port that is free."""
    page = [block.text for block in blocks(ROOT / "docs" / "serving.md")]
    start, printed, asked = page[:3]
    install, serve = start.splitlines()
    command = [sys.executable, "-m", "uv", "venv", "-q", "--seed", "--python", sys.executable, str(tmp_path / "venv")]
    subprocess.run(command, check=True)
    environment, log = _environment(tmp_path, wheels), tmp_path / "log"
    began = time.monotonic()
    subprocess.run(["bash", "-ec", f". venv/bin/activate\n{install}"], cwd=tmp_path, env=environment, check=True)
    (tmp_path / "config" / "lollms" / "config.toml").write_text(f"{CONFIG}[serve]\nport = 0\n")
    with log.open("w") as errors:
        words = ["bash", "-ec", f". venv/bin/activate\nexec {serve}"]
        server = subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=errors, stdout=errors)
    try:
        wait_until(lambda: "No keys" in log.read_text() or server.poll() is not None, 2 * MINUTE)
        (address,) = re.findall(r"Serving at (\S+)", log.read_text())
        told = log.read_text().replace(address, "http://127.0.0.1:9610").splitlines()
        assert [line for line in told if not line.startswith("{")][: len(printed.splitlines())] == printed.splitlines()
        done = subprocess.run(
            ["bash", "-ec", asked.replace("http://127.0.0.1:9610", address)], cwd=tmp_path, capture_output=True, text=True,
            timeout=MINUTE,
        )  # fmt: skip
        assert time.monotonic() - began < 10 * MINUTE
        assert done.returncode == 0, done.stderr
        assert probe_audio(tmp_path / "speech.mp3")[3] == "mp3"
        assert "boy" in done.stdout.lower(), done.stdout
    finally:
        server.terminate()
        assert server.wait(MINUTE) == 0, log.read_text()


@pytest.mark.full
def test_the_tutorial_makes_a_binding(tmp_path: Path, wheels: str) -> None:
    script = []
    for number, block in enumerate(blocks(TUTORIAL)):
        if block.kind == "bash":
            script.append(block.text)
        elif title := re.fullmatch(r'python title="(.+)"', block.kind):
            # Put where the commands before it have gone, in the place of what the template made.
            kept = tmp_path / f"block-{number}"
            kept.write_text(block.text, "utf-8")
            script.append(f"test -e {title[1]} && cp {kept} {title[1]}")
    began = time.monotonic()
    said = run("\n".join(script), tmp_path, wheels)
    assert time.monotonic() - began < 10 * MINUTE, "ten minutes to a binding"
    passed = re.findall(r"^(\d+) passed", said, re.MULTILINE)
    assert len(passed) == 3, said
    assert all(int(count) >= 40 for count in passed)
    spoken, _, listed = said.rpartition("passed")[2].partition("Successfully built")
    # As sphinx hears the voice without chance; of "canoe slid on the smooth" it makes other words.
    assert {"birch", "planks"} <= set(spoken.lower().split()), "what piper said, sphinx heard"
    assert re.search(r"\bsphinx\b.*lollms-sphinx", listed or spoken), said[-2000:]
    assert (tmp_path / "sphinx/dist/lollms_sphinx-0.1.0-py3-none-any.whl").is_file()


def run(script: str, folder: Path, wheels: str) -> str:
    """What the commands print. The first that fails ends them."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=_environment(folder, wheels),
        capture_output=True,
        text=True,
        timeout=10 * MINUTE,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _environment(folder: Path, wheels: str) -> dict[str, str]:
    """As a user's shell has it: nothing of the environment that runs the tests, and pip finds our wheels."""
    config = folder / "config" / "lollms" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG, "utf-8")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "LOLLMS_"))
    }
    return {
        **kept,
        # Compiled is what is used, when it is.
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": " ".join(filter(None, (wheels, kept.get("PIP_FIND_LINKS")))),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }


@pytest.fixture(scope="session")
def wheels() -> str:
    """The folder of wheels, built by the session that runs the tests."""
    return os.environ["LOLLMS_WHEELS"]
