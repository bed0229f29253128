"""Results at an address of fsspec's that is another machine's: Debian's sshd, over SFTP."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec.config
import pytest
from lollms_modalities import SaveError
from lollms_server.jobs.errors import StoreLost
from lollms_server.jobs.files import Files, files_of
from sshd import Sshd, sshd

pytestmark = pytest.mark.full


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", None, "Subsystem sftp internal-sftp") as running:
        known = {"key_filename": str(tmp_path / "sshd" / "user"), "username": getpass.getuser(), "allow_agent": False}
        monkeypatch.setitem(fsspec.config.conf, "sftp", known)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of that machine, on a disk of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0:
        pytest.fail("A small disk is made by root alone.")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def at(machine: Sshd, folder: Path) -> Files:
    return files_of(f"sftp://127.0.0.1:{machine.port}{folder}/results")


def test_they_are_written_read_and_removed(machine: Sshd, folder: Path, tmp_path: Path) -> None:
    files = at(machine, folder)
    (tmp_path / "upload").write_bytes(b"xyz")
    assert files.write("a", "u0", tmp_path / "upload") == 3
    assert files.write("a", "r", b"result") == 6
    with files.open("a", "r") as file:
        assert file.read() == b"result"
    assert (files.ids(-1.0), files.ids(1000.0)) == (["a"], [])
    files.remove("a", but=("r",))
    with pytest.raises(FileNotFoundError):
        files.open("a", "u0")
    for _ in range(2):
        files.remove("a")
    assert not list(folder.rglob("a"))


def test_a_full_disk_there_leaves_nothing(machine: Sshd, folder: Path) -> None:
    files = at(machine, folder)
    files.write("a", "whole", bytes(100_000))
    for _ in range(2):
        with pytest.raises(SaveError, match="cannot be kept"):
            files.write("b", "half", bytes(400_000))
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["whole"], "half of it is not left"
    assert files.write("b", "r", bytes(50_000)) == 50_000, "what is smaller has room"


def test_a_machine_that_goes_and_comes_back(machine: Sshd, folder: Path) -> None:
    files = at(machine, folder)
    files.write("a", "r", b"result")
    machine.stop()
    with pytest.raises(SaveError):
        files.write("b", "r", b"result")
    with pytest.raises(StoreLost) as lost:
        files.open("a", "r")
    assert lost.value.retry_after > 0
    with pytest.raises(StoreLost):
        files.ids(-1.0)
    files.remove("a")  # it is looked for again, when it can be
    machine.start()
    with files.open("a", "r") as file:
        assert file.read() == b"result"
    assert files.write("b", "r", b"more") == 4
