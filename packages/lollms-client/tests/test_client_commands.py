"""Commands that other distributions add to ``lollms``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lollms_client import cli
from lollms_client.cli import app, errors, others
from typer.testing import CliRunner

SOURCE = """
import sys

def rent(words):
    print("serving", words)
    return {"bad": 3}.get(words[0] if words else "")

def fails(words):
    from lollms_modalities import OptionError
    raise OptionError("There is no such port.", hint="Give another.")

def leaves(words):
    sys.exit(4)

speak = rent
"""
COMMANDS = {
    "rent": "room_commands:rent", "fails": "room_commands:fails", "leaves": "room_commands:leaves",
    "gone": "room_commands:gone", "missing": "no_such_room:run", "speak": "room_commands:speak",
    "sulk": "sulking_commands:run",
}  # fmt: skip
HELP = {"rent: Open the rooms: all of them.": "room_commands:rent"}
Run = Callable[..., tuple[int, str, str]]


def install(folder: Path, name: str, summary: str, **groups: dict[str, str]) -> None:
    """A distribution that is installed in ``folder``."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: {summary}\n")
    lines = [f"[lollms_client.{g}]\n" + "".join(f"{k} = {v}\n" for k, v in e.items()) for g, e in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What offers the commands."""
    site = tmp_path / "site"
    install(site, "lollms-rooms", "Rooms for bindings", commands=COMMANDS, command_help=HELP)
    (site / "room_commands.py").write_text(SOURCE)
    (site / "sulking_commands.py").write_text("raise SystemExit(5)\n")
    return site


@pytest.fixture
def lollms(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command here; its exit code, output and complaints."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(errors, "listen", lambda debug: None)
    monkeypatch.delitem(sys.modules, "room_commands", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lollms", *words])
        code = cli.main()
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_help_lists_them_without_importing_any(lollms: Run) -> None:
    code, told, complaints = lollms("--help")
    assert code == 0
    _, _, listed = told.partition("\nCommands of other distributions:\n")
    rows = dict(line.split(maxsplit=1) for line in listed.splitlines())
    assert rows.pop("rent") == "Open the rooms: all of them."
    for name in ("serve", "jobs", "marks", "verify"):  # of other distributions of ours, where these are installed
        rows.pop(name, None)
    assert rows == dict.fromkeys(["fails", "gone", "leaves", "missing", "sulk"], "Rooms for bindings")
    assert "hidden by our own" in complaints
    assert not {"room_commands", "sulking_commands"} & {*sys.modules}


def test_the_words_after_the_name_are_the_command_s(lollms: Run) -> None:
    assert lollms("rent", "--port", "80", "-h", "--", "--debug")[:2] == (
        0, "serving ['--port', '80', '-h', '--', '--debug']\n",
    )  # fmt: skip
    assert lollms("rent", "bad")[0] == 3
    with pytest.raises(SystemExit) as left:
        lollms("leaves")
    assert left.value.code == 4


def test_a_failure_looks_like_one_of_ours(lollms: Run) -> None:
    assert lollms("fails") == (2, "", "lollms: There is no such port. Give another.\n")


def test_an_interrupt_of_a_command_before_is_no_other_s(lollms: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from lollms_client.cli import signals

    monkeypatch.setattr(signals, "_asked", True)
    assert lollms("fails")[0] == 2


@pytest.mark.parametrize(("name", "reason"), [("missing", "no_such_room"), ("gone", "gone"), ("sulk", "SystemExit")])
def test_one_that_cannot_be_imported_is_told(lollms: Run, name: str, reason: str) -> None:
    code, out, told = lollms(name)
    assert (code, out) == (1, "")
    told = " ".join(told.split())
    assert told.startswith(f"lollms: The command '{name}' of lollms-rooms cannot be imported: ")
    assert reason in told
    assert "Install lollms-rooms again" in told
    assert "Traceback" not in told


def test_our_own_commands_win(lollms: Run) -> None:
    assert others.find("speak") == (None, [])
    assert "Usage: lollms speak" in lollms("speak", "--help")[1]
    told = lollms()[2]
    assert told == "lollms: warning: The command 'speak' of lollms-rooms is hidden by our own of that name.\n"


def test_of_two_that_claim_a_name_one_is_used(lollms: Run, site: Path) -> None:
    install(site, "another-house", "", commands={"rent": "room_commands:leaves"})
    with pytest.raises(SystemExit):
        lollms("rent")
    told = " ".join(lollms("--help")[2].split())
    assert "'rent' is claimed by another-house and lollms-rooms: another-house is used" in told
    assert re.search(r"^  rent +Of another-house\.$", cli.help_text(), re.MULTILINE)


def test_a_name_that_nobody_has_is_told_with_the_nearest(lollms: Run) -> None:
    code, _, told = lollms("ren")
    assert code == 2
    assert "rent" in told
    # Completion knows their names, too.
    shown = CliRunner().invoke(app.build(cli.COMMANDS, others=True), ["--help"]).output
    assert "  rent " in shown


def test_distributions_that_cannot_be_read_hide_no_command(lollms: Run, site: Path) -> None:
    info = site / "broken-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[lollms_client.commands]\nbroken = room_commands:rent\n")
    assert lollms("rent")[0] == 0
    assert "\n  broken " in lollms("--help")[1]


def test_the_program_itself(site: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-X", "importtime", "-m", "lollms_client"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, env=env, timeout=60, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"room_commands", "typer", "rich", "pydantic", "numpy", "pluggy", "typing_extensions"}
    done = subprocess.run([*command, "rent", "bad"], capture_output=True, text=True, env=env, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "serving ['bad']\n")
