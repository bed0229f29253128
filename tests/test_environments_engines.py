"""Piper in environments that the command makes, and what the command line does with them; killing their making."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lollms_modalities import Audio, LollmsTTSBindingManager
from lollms_modalities.environments.changing import check_environment
from lollms_modalities.environments.environment import find_environment

ROOT = Path(__file__).parent.parent
SOURCE = os.environ.get("LOLLMS_WHEELS") or str(ROOT)


def lollms(*words: str, code: int = 0) -> str:
    """What the command prints."""
    command = [sys.executable, "-c", "import sys; from lollms_client.cli import main; sys.exit(main())", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder in which Piper has an environment."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        told = lollms("env", "create", "piper", "--from", SOURCE)
        assert "piper: tts:piper on Python" in told
        assert [line.split()[0] for line in told.splitlines()][:2] in (["find", "resolve"], ["piper:", "find"])
        LollmsTTSBindingManager().refresh()
        yield folder
    LollmsTTSBindingManager().refresh()


def test_piper_speaks_in_its_environment(data: Path) -> None:
    environment = find_environment("piper")
    assert environment.variables == {"OMP_WAIT_POLICY": "passive"}
    with LollmsTTSBindingManager().require_binding("piper", environment="piper") as tts:
        assert tts.generate_audio("Hello there.").duration > 0.5
        assert tts.environment == "piper"  # type: ignore[attr-defined]
    assert check_environment("piper").problems == []


def test_the_commands_of_environments(data: Path) -> None:
    assert "piper: tts:piper\n" in lollms("env", "list")
    (row,) = json.loads(lollms("env", "list", "--json"))["environments"]
    assert row["bindings"] == ["tts:piper"]
    assert row["size"] > row["shared"]
    assert "piper: fine, tts:piper 2.0" in lollms("env", "check")
    folder = find_environment("piper").folder
    assert lollms("env", "run", "piper", "python", "-c", "import sys; print(sys.prefix)").strip() == str(folder)
    assert lollms("env", "run", "piper", "--", "python", "-c", "raise SystemExit(7)", code=7) == ""
    assert "has no program 'pipper'" in lollms("env", "run", "piper", "pipper", code=127)
    assert "environment 'piper' already" in lollms("env", "create", "piper", "--from", SOURCE, code=1)
    assert "Did you mean 'piper'?" in lollms("env", "create", "piperr", "--from", SOURCE, code=1)
    again = lollms("env", "create", "--record", str(folder / "lollms.json"), "--name", "again")
    assert "again: tts:piper" in again
    assert "In all" in lollms("env", "list")
    assert "again: tts:piper" in lollms("env", "update", "again")
    assert "Removed again" in lollms("env", "remove", "again")
    assert "no environment 'again'" in lollms("env", "remove", "again", code=1)
    assert sorted(p.name for p in (data / "lollms" / "environments").iterdir() if p.is_symlink()) == ["piper"]


def test_the_other_commands_work_there(data: Path, tmp_path: Path) -> None:
    (row,) = [line for line in lollms("list", "tts").splitlines() if "in piper" in line]
    assert "lollms-piper" in row
    assert "joe" in lollms("voices", "-b", "piper", "-e", "piper")
    assert "place         piper" in lollms("info", "piper", "-e", "piper")
    lollms("speak", "Hello there.", "-b", "piper", "-e", "piper", "-o", str(tmp_path / "hello.wav"))
    assert Audio((tmp_path / "hello.wav").read_bytes()).duration > 0.5


@pytest.mark.full
def test_making_is_killed_at_random_moments() -> None:
    program = [sys.executable, str(ROOT / "soak" / "environments.py"), "--short"]
    # The core is among the wheels that are tested, and on no index.
    places = " ".join(filter(None, (os.environ.get("LOLLMS_WHEELS"), os.environ.get("PIP_FIND_LINKS"))))
    environment = {**os.environ, "PIP_FIND_LINKS": places}
    done = subprocess.run(program, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 halves, 0 failures" in done.stdout
