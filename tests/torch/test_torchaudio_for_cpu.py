"""What makes a torchaudio that was built for CUDA importable beside a torch for the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torchaudio_for_cpu

LIKE_TORCHAUDIO = """
from pathlib import Path
if list((Path(__file__).parent / "lib").glob("_torchaudio*.so")):
    raise OSError("Could not load this library: _torchaudio.abi3.so")
"""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, torchaudio_for_cpu.__file__],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip


def test_the_installed_one_can_be_imported() -> None:
    assert torchaudio_for_cpu.why_not_importable() == ""


def test_compiled_files_that_do_not_load_are_removed(tmp_path: Path) -> None:
    lib = tmp_path / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib.parent / "__init__.py").write_text(LIKE_TORCHAUDIO)
    for name in ("_torchaudio.abi3.so", "libtorchaudio.abi3.so", "README"):
        (lib / name).touch()
    first, second = run(tmp_path), run(tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "removed _torchaudio.abi3.so, libtorchaudio.abi3.so" in first.stdout
    assert "as it is" in second.stdout
    assert [path.name for path in lib.iterdir()] == ["README"]


def test_another_failure_is_told_and_nothing_removed(tmp_path: Path) -> None:
    lib = tmp_path / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib.parent / "__init__.py").write_text("import no_such_module")
    (lib / "_torchaudio.so").touch()
    done = run(tmp_path)
    assert done.returncode == 1
    assert "no_such_module" in done.stderr
    assert (lib / "_torchaudio.so").exists()
