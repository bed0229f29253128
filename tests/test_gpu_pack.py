"""What is packed for a machine with a card: no more than may travel, and it says what was left out."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A hundred bytes more than ``repository.tar.gz`` takes, and then the first three of these.
SIZES = {"lollms_bark": 4000, "small": 1000, "middle": 5000, "large": 900_000, "also_large": 800_000}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Files with the names of wheels, of some sizes."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, size in SIZES.items():
        (folder / f"{name}-1.0-py3-none-any.whl").write_bytes(bytes(size))
    return folder


def pack(wheels: Path, out: Path, limit: int) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "gpu" / "pack.sh"), "transformers", "--from", str(wheels), "--out", str(out)]
    return subprocess.run([*command, "--limit", str(limit)], capture_output=True, text=True, check=False, timeout=120)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def names(folder: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in (folder / "wheels").iterdir()}


def test_all_is_packed_where_there_is_room(wheels: Path, tmp_path: Path) -> None:
    done = pack(wheels, tmp_path / "out", 64 << 20)
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "out") == set(SIZES)
    assert "Left out" not in done.stdout
    assert (tmp_path / "out" / "left-out.txt").read_text() == ""


def test_what_has_no_room_is_left_out_and_named(wheels: Path, tmp_path: Path) -> None:
    pack(wheels, tmp_path / "whole", 64 << 20)
    limit = size_of(tmp_path / "whole") - 900_000 + 600
    done = pack(wheels, tmp_path / "out", limit)
    assert done.returncode == 3
    assert names(tmp_path / "out") == set(SIZES) - {"large"}
    assert "900000 large-1.0-py3-none-any.whl" in done.stdout
    assert (tmp_path / "out" / "left-out.txt").read_text() == "900000 large-1.0-py3-none-any.whl\n"
    assert size_of(tmp_path / "out") <= limit


def test_ours_come_first(wheels: Path, tmp_path: Path) -> None:
    pack(wheels, tmp_path / "whole", 64 << 20)
    room = size_of(tmp_path / "whole") - sum(SIZES.values()) + 4000 + 700
    done = pack(wheels, tmp_path / "out", room)
    assert names(tmp_path / "out") == {"lollms_bark"}
    assert "small-1.0" in done.stdout
    assert size_of(tmp_path / "out") <= room


def test_what_is_packed_runs_without_git(wheels: Path, tmp_path: Path) -> None:
    pack(wheels, tmp_path / "out", 64 << 20)
    with tarfile.open(tmp_path / "out" / "repository.tar.gz") as archive:
        held = set(archive.getnames())
    assert {"gpu/run.py", "gpu/stages/server.py", "tests/support/bark_model.py", "tree.txt"} <= held
    assert not any("__pycache__" in name for name in held)
    assert (tmp_path / "out" / "start.sh").read_text() == (ROOT / "gpu" / "start.sh").read_text()


@pytest.mark.parametrize("wrong", [["nothing"], ["server", "--what"]])
def test_words_that_it_does_not_know_are_refused(wrong: list[str], tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    command = [bash, str(ROOT / "gpu" / "pack.sh"), *wrong]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr
