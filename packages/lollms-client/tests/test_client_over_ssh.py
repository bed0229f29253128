"""The command line and another machine: bindings that run there, environments that are made there."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributions import install
from lollms_modalities import Audio
from lollms_shell import Shell, wait_until
from sshd import Sshd, sshd


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A machine with what is installed here, and no environments."""
    with sshd(tmp_path_factory.mktemp("box") / "sshd") as server:
        yield server


@pytest.fixture
def lollms(tmp_path: Path, box: Sshd) -> Shell:
    shell = Shell(tmp_path)
    shell.env["PATH"] = f"{box.bin}{os.pathsep}{shell.env['PATH']}"
    return shell


def test_a_command_uses_a_binding_that_is_there(lollms: Shell, box: Sshd) -> None:
    there = ("-b", "example", "--place", box.address)
    assert Audio(lollms("speak", "hi", "-o", "-", *there).stdout).duration > 0
    assert lollms.files == []


@pytest.mark.full
def test_every_way_of_saying_where(lollms: Shell, box: Sshd) -> None:
    there = ("-b", "example", "--place", box.address)
    assert lollms("voices", *there).stdout == b"low\nhigh\n"
    assert f"place         {box.address}" in lollms("info", "tts:example", "--place", box.address).stdout.decode()
    told = lollms("speak", "hi", "-b", "example", "--place", "ssh://127.0.0.1:1", code=1).stderr
    assert "Connection refused. No sshd listens there" in told
    lollms("config", "tts.binding", "example")
    lollms("config", "tts.place", box.address)
    lollms("config", "tts.environment", "of-that-machine")
    del lollms.env["LOLLMS_TTS_BINDING"]
    assert "no environment 'of-that-machine' at ssh://" in lollms("speak", "hi", code=1).stderr
    assert lollms.files == []


@pytest.mark.full
def test_a_binding_that_is_only_there_is_configured(lollms: Shell, tmp_path: Path) -> None:
    site, support = tmp_path / "site", Path(__file__).parents[3] / "lollms-modalities-core" / "tests" / "support"
    install(site, "far-bindings", "[lollms_client.tts_bindings]\nfar = far_bindings:FarTTSBinding\n")
    shutil.copy(support / "far_bindings.py", site)
    with sshd(tmp_path / "sshd", {"PYTHONPATH": str(site)}) as there:
        lollms.env["PATH"] = f"{there.bin}{os.pathsep}{lollms.env['PATH']}"
        del lollms.env["LOLLMS_TTS_BINDING"]
        assert "'far' is installed" in lollms("config", "tts.binding", "far", code=1).stderr
        assert "'far' is installed" in lollms("config", "tts.far.place", "process", code=1).stderr
        lollms("config", "tts.far.place", there.address)
        lollms("config", "tts.binding", "far")
        lollms("config", "tts.far.voice_name", "b")
        assert "no setting 'voice_nam'" in lollms("config", "tts.far.voice_nam", "b", code=2).stderr
        assert b"b" in lollms("config", "tts.far.voice_name").stdout
        assert lollms("voices").stdout == b"a\n"
        assert Audio(lollms("speak", "hi", "-o", "-").stdout).duration > 0
        assert (
            "'far'" not in lollms("doctor", "--quick", "--json", code=None).stdout.decode().partition('"problems"')[2]
        )
    assert lollms.files == []


def test_what_cannot_be_done_on_another_machine_is_told(lollms: Shell, box: Sshd) -> None:
    at = f"127.0.0.1:{box.port}"
    assert b"There is no environment" in lollms("env", "list", "--on", at).stdout
    assert "neither the name of a binding" in lollms("env", "create", "a$(touch x)'", "--on", at, code=1).stderr
    assert "no name of a host" in lollms("env", "list", "--on", "-oProxyCommand=x", code=2).stderr
    assert "ssh://127.0.0.1:1: ssh: connect" in lollms("env", "list", "--on", "127.0.0.1:1", code=1).stderr
    box.bare()
    try:
        assert "has lollms-client" in lollms("env", "list", "--on", at, code=1).stderr
    finally:
        box.bare(False)
    assert lollms.files == []


@pytest.mark.full
def test_an_environment_is_made_there_where_that_is_asked_for(lollms: Shell, box: Sshd) -> None:
    at = f"127.0.0.1:{box.port}"
    create = (
        "env",
        "create",
        "lollms-examples",
        "--from",
        str(Path(__file__).parents[3]),
        "--name",
        "voice",
        "--on",
        at,
    )
    process = lollms.start(*create)
    assert process.stderr is not None
    assert process.stderr.readline() == b"find\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_until(lambda: not box.inside())
    assert b"There is no environment" in lollms("env", "list", "--on", at).stdout
    made = lollms(*create)
    assert made.stdout.startswith(b"voice: tts:example")
    assert "install" in made.stderr
    (row,) = json.loads(lollms("env", "list", "--on", at, "--json").stdout)["environments"]
    assert row["name"] == "voice"
    assert row["folder"].startswith(box.variables["XDG_DATA_HOME"])
    there = ("-b", "example", "--place", box.address, "-e", "voice")
    assert Audio(lollms("speak", "hi", "-o", "-", *there).stdout).duration > 0
