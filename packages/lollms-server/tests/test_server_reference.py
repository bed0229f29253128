"""What docs/serving.md says is what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lollms_server.commands import serve
from lollms_server.room.configuration import Configuration

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text("utf-8")
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_its_tables_are_those_of_the_models() -> None:
    told = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "serving_reference.py"), "--check"], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr


def test_its_example_is_a_configuration(configure: Callable[..., Configuration]) -> None:
    configuration = configure(EXAMPLE)
    assert configuration.serve.memory_limit == 12_000_000_000
    assert set(configuration.models) == {"narrator", "ears", "painter"}


@pytest.mark.parametrize("name", ["lollms", "automatic1111", "elevenlabs"])
def test_what_a_clients_page_has_one_write_is_a_configuration(
    name: str, configure: Callable[..., Configuration]
) -> None:
    page = (ROOT / "docs" / "serving" / f"{name}.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert any(surface.startswith(name) for surface in configure(text).serve.surfaces)


@pytest.mark.parametrize("line", re.findall(r"^lollms (serve key .*)$", PAGE, re.MULTILINE))
def test_its_commands_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    here, _, _ = EXAMPLE.partition("[models.painter]")  # which is in an environment of its own
    (tmp_path / "config.toml").write_text(here)
    monkeypatch.setenv("LOLLMS_CONFIG", str(tmp_path / "config.toml"))
    if "add" not in line and "list" not in line:
        assert serve(["key", "add", line.split()[-1]]) == 0
    assert serve(line.split()[1:]) == 0
