"""``lollms install``: what it runs, and that following a hint does not take an older client."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, requires
from pathlib import Path

import pytest
from lollms_client.cli import install
from lollms_client.cli.errors import UsageError
from lollms_modalities.finding.mending import extra_of, extras, install_command, plain
from lollms_shell import Shell
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from tiny_wheels import BEEP, make_wheel

POINTS = "[lollms_client.tts_bindings]\nbeep = lollms_beep:BeepTTSBinding\n"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """As an index is on which an older client lies, whose engines were no extras."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    make_wheel(folder, "lollms-client", "1.21.1", {"lollms_client/older.py": ""}, extras={"piper": []})
    make_wheel(folder, "lollms-client", "2.0.0", {"tiny_client.py": ""}, extras={"piper": ["lollms-beep>=2.0,<3"]})
    make_wheel(folder, "lollms-beep", "2.0.0", {"lollms_beep.py": BEEP}, entry_points=POINTS)
    return folder


def test_following_the_hint_installs_what_goes_with_this(tmp_path: Path, wheels: Path) -> None:
    import uv

    lollms = Shell(tmp_path)
    place = tmp_path / "venv"
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "--python", sys.executable, str(place)], check=True)
    path = os.pathsep.join([str(Path(uv.find_uv_bin()).parent), os.environ["PATH"]])
    # The interpreter of the new environment, with what is installed here in reach.
    env = {**lollms.env, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PATH": path, "UV_OFFLINE": "1"}
    command = [str(place / "bin" / "python"), "-m", "lollms_client", "install", "tts:PIPER", "--from", str(wheels)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"Running {uv.find_uv_bin()} pip install --python" in done.stderr
    assert "tts:beep" in done.stdout.split()
    (site,) = place.glob("lib/python3*/site-packages")
    there = {d.metadata["Name"]: d.version for d in distributions(path=[str(site)])}
    assert there == {"lollms-client": "2.0.0", "lollms-beep": "2.0.0"}
    failed = subprocess.run([*command[:-1], str(tmp_path)], env=env, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 0, "it is there already, and none is looked for"
    failed = subprocess.run([*command[:4], "bark", "--from", str(wheels)], env=env, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "lollms-bark is not here" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_what_is_run_is_told_and_nothing_more(tmp_path: Path, wheels: Path) -> None:
    lollms = Shell(tmp_path)
    listed = lollms("install").stdout.decode()
    assert "\npiper           here  lollms-piper\n" in listed
    told = lollms("install", "Whisper", "stt:faster_whisper", "--dry-run", "--from", str(wheels)).stdout.decode()
    assert f"--find-links {wheels} 'lollms-client[whisper,faster-whisper]>=2." in told
    assert lollms("install", "piper", "--dry-run", "--from", "https://example.org/simple").stdout.endswith(
        b",<3' --index-url https://example.org/simple\n"
    )
    assert "Did you mean 'whisper'?" in lollms("install", "wisper", code=2).stderr
    assert "is no folder" in lollms("install", "piper", "--from", "nowhere", code=2).stderr


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("piper", "piper"), ("piper_tts", "piper"), ("tts:Piper", "piper"), ("faster_whisper", "faster-whisper"),
        ("openai", "dalle"), ("TTI:dalle", "dalle"),
    ],
)  # fmt: skip
def test_names_of_bindings_are_names_of_extras(name: str, extra: str) -> None:
    assert install.extra_named(name) == extra


def test_every_extra_brings_a_binding_of_its_name_or_is_known_to_bring_none() -> None:
    packages = Path(__file__).parents[2]
    bound = set()
    for file in packages.glob("*/pyproject.toml"):
        groups = tomllib.loads(file.read_text("utf-8"))["project"].get("entry-points", {})
        bound |= {plain(name) for group, names in groups.items() if group.endswith("_bindings") for name in names}
    for extra in extras():
        assert extra_of(extra) == (extra if plain(extra) in bound else "")
    # Also names that 1.x had: each name of a binding of ours leads to an extra.
    assert {name for name in bound if not extra_of(name)} == set()
    assert (extra_of("openai"), extra_of("piper_tts"), extra_of("PIPER")) == ("dalle", "piper", "piper")


def test_no_extra_of_that_name() -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        install.extra_named("pipper")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ('{"url": "file:///a/packages/lollms-client", "dir_info": {"editable": true}}', install.Source()),
        ('{"url": "https://example.org/lollms_client-2.0.0-py3-none-any.whl", "archive_info": {}}', install.Source()),
        (
            '{"url": "https://example.org/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}, '
            '"subdirectory": "packages/lollms-client"}',
            install.Source(repository="git+https://example.org/x@abc#subdirectory=packages/{}"),
        ),
        ("{", install.Source()),
        ("[]", install.Source()),
    ],
    ids=["a folder that is gone", "an address", "a repository", "damaged", "no table"],
)
def test_where_the_client_came_from(told: str, expected: install.Source, monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        def read_text(self, name: str) -> str:
            return told

    monkeypatch.setattr(install, "distribution", lambda name: Distribution())
    assert install.came_from() == expected


def test_from_a_checkout_and_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lollms-client", "lollms-piper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").touch()
    command = install.command_for(["piper", "bark"], install.Source(tmp_path / "lollms-client", editable=True))
    assert command[-3:] == ["lollms-bark<3,>=2.0", "-e", f"{tmp_path}/lollms-piper[voice]"]
    command = install.command_for(["all"], install.Source(repository="git+https://x#subdirectory=packages/{}"))
    assert "lollms-piper[voice] @ git+https://x#subdirectory=packages/lollms-piper" in command
    assert not any("lollms-client" in word for word in command[4:])
    command = install.command_for(["piper"], install.Source(wheels=tmp_path), upgrade=True)
    assert command[-4:-1] == ["--upgrade", "--find-links", str(tmp_path)]


def test_a_hint_says_the_versions() -> None:
    assert install_command("piper").startswith('lollms install piper (pip install "lollms-client[piper]>=2.')
    assert install_command("piper").endswith(',<3")')


def test_what_restricts_its_user_most_is_not_in_all() -> None:
    """XTTS's weights are not for commercial use, Kokoro needs code under the GPL, marks change what is written."""
    found = [Requirement(text) for text in requires("lollms-client") or ()]
    (everything,) = [each for each in found if each.name == "lollms-client"]
    assert str(everything.marker) == 'extra == "all"'
    assert {"piper", "faster-whisper", "moonshine", "diffusers"} <= everything.extras
    assert not {"xtts", "kokoro", "marks"} & everything.extras
    (kokoro,) = [each for each in found if each.name == "lollms-kokoro"]
    assert kokoro.marker is not None
    for python, fits in (("3.13", True), ("3.14", False)):
        where = {"extra": "kokoro", "python_version": python, "python_full_version": f"{python}.0"}
        assert kokoro.marker.evaluate(where) == fits
    project = tomllib.loads((Path(__file__).parents[2] / "lollms-kokoro" / "pyproject.toml").read_text("utf-8"))
    assert not SpecifierSet(project["project"]["requires-python"]).contains("3.14")
