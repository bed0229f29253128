"""The environment that holds Ray, made as a user makes it, with bindings beside it: once, until their code changes."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from kept import kept

ROOT = Path(__file__).parents[2]
_BINDINGS = ("packages/lollms-piper[voice]", "packages/lollms-faster-whisper[tiny-en]")
_EXAMPLES = "examples/lollms-examples"


def ray_data(*more: str) -> Path:
    """What ``XDG_DATA_HOME`` is to name: a folder in which lollms has an environment called ray, with more beside it."""
    folders = ["lollms-modalities-core", "packages/lollms-ray", _EXAMPLES, *(b.partition("[")[0] for b in _BINDINGS)]
    files = [
        p for f in folders for p in sorted((ROOT / f).rglob("*")) if p.suffix in (".py", ".toml") and _is_source(p)
    ]
    return kept("ray", functools.partial(_make, more=more), of=(sys.version, *more, *files))


def ray_environment(*more: str) -> Path:
    """The folder of that environment."""
    return (ray_data(*more) / "lollms" / "environments" / "ray").resolve()


def _is_source(path: Path) -> bool:
    return "tests" not in path.parts and not any(part.startswith(".") for part in path.parts[len(ROOT.parts) :])


def _make(data: Path, more: tuple[str, ...]) -> None:
    wheels = os.environ.get("LOLLMS_WHEELS")
    environ = {**os.environ, "XDG_DATA_HOME": str(data)}
    source = [f"--from={wheels}"] if wheels else []
    subprocess.run([sys.executable, "-m", "lollms_client", "env", "create", "ray", *source], env=environ, check=True)
    python = data / "lollms" / "environments" / "ray" / "bin" / "python"
    install = [sys.executable, "-m", "uv", "-q", "pip", "install", "--python", str(python)]
    if wheels:
        names = [f"lollms-{b.partition('lollms-')[2]}>=2.0,<3" for b in _BINDINGS]
        subprocess.run([*install, "--find-links", wheels, *names], check=True)
    else:
        subprocess.run([*install, *(str(ROOT / b) for b in _BINDINGS)], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT / _EXAMPLES)], check=True)
    # Pillow, which the examples' images want.
    subprocess.run([*install, "pillow>=10", *more], check=True)
