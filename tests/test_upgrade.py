"""2.0 over a real 1.x from the registry, 1.x over 2.0, and back: what is imported and run is all of one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OLD = "lollms_client==1.21.1"
NEW = "lollms-client>=2.0,<3"
COMMANDS_OF_1X = {"lollms-bot", "lollms-code", "lollms-config", "lollms-config-wizard"}
NEW_WORKS = """
import lollms_client, lollms_modalities
from lollms_client import LollmsClient
from lollms_client.lollms_tts_binding import LollmsTTSBindingManager
from importlib.metadata import version
assert lollms_client.__version__ == version("lollms-client") == version("lollms-modalities-core")
assert LollmsTTSBindingManager().get_available_bindings() == []
with LollmsClient(llm_binding_name="ollama", debug=False) as lc:
    assert lc.tts is None
    assert "Give tts_binding_name=" in str(lc.unavailable["tts"])
"""
OLD_WORKS = """
import lollms_client
from lollms_client import LollmsClient, LollmsDiscussion
from lollms_client.lollms_tts_binding import LollmsTTSBindingManager
from importlib.metadata import version
assert lollms_client.__version__ == version("lollms-client") == "1.21.1"
assert {"bark", "xtts", "piper_tts"} <= set(LollmsTTSBindingManager().get_available_bindings())
from lollms_modalities import Audio  # the core stands beside it
"""


def _uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError:
        found = shutil.which("uv")
        assert found, "uv is of the dependency group test"
        return found
    return str(find_uv_bin())


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of the wheels that are tested."""
    given = os.environ.get("LOLLMS_WHEELS")
    if given is not None:
        return given
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("lollms-modalities-core", "packages/lollms-client"):
        subprocess.run([_uv(), "build", "-q", "--wheel", "-o", str(folder), str(ROOT / name)], check=True)
    return str(folder)


class Place:
    """An environment of a user's."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        (self.package,) = folder.glob("lib/python3.*/site-packages")
        self.package /= "lollms_client"

    def run(self, *command: str) -> str:
        env = {**os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config")}
        done = subprocess.run(
            [str(self.folder / "bin" / command[0]), *command[1:]], cwd=self.home, capture_output=True, text=True, env=env,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commands(self) -> set[str]:
        return {path.name for path in (self.folder / "bin").glob("lollms*")}


def _by_pip(place: Place, requirement: str, wheels: str) -> None:
    """The exchange alone: uv has brought the dependencies, in a tenth of the time."""
    place.run("python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--find-links", wheels, requirement)  # fmt: skip


def _by_uv(place: Place, requirement: str, wheels: str) -> None:
    python = str(place.folder / "bin" / "python")
    command = [_uv(), "pip", "install", "-q", "--python", python, "--find-links", wheels, requirement]
    subprocess.run(command, check=True, cwd=place.home)


@pytest.mark.full
@pytest.mark.parametrize("install", [_by_pip, _by_uv], ids=["pip", "uv"])
def test_from_1x_to_2_and_back_and_again(
    install: Callable[[Place, str, str], None], wheels: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    place = Place(tmp_path / "venv", home)
    _by_uv(place, OLD, wheels)  # with all that it requires
    _by_uv(place, "lollms-modalities-core[audio,image,progress]", wheels)
    _by_uv(place, "typer", wheels)
    place.run("python", "-c", OLD_WORKS)  # leaves compiled files behind
    assert place.commands() == COMMANDS_OF_1X
    # What a user put into the package stays, and nobody looks at it.
    mine = place.package / "tts_bindings" / "mine" / "__init__.py"
    mine.parent.mkdir()
    mine.write_text("raise RuntimeError('2.0 scans no folders')")
    for requirement in (NEW, OLD, NEW):
        install(place, requirement, wheels)
        if requirement is OLD:
            assert (place.package / "lollms_chat_core.py").exists()
            assert not (place.package / "client.py").exists()
            assert place.commands() == COMMANDS_OF_1X
            place.run("python", "-c", OLD_WORKS)
        else:
            assert not (place.package / "lollms_chat_core.py").exists()
            assert not list(place.package.rglob("server/*.py"))
            assert place.commands() == {"lollms"}
            place.run("python", "-W", "error", "-c", NEW_WORKS)
            assert "No binding is installed" in place.run("lollms", "list")
    assert mine.exists()
    subprocess.run([_uv(), "pip", "check", "-q", "--python", str(place.folder / "bin" / "python")], check=True)
