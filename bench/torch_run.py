"""Benchmarks of the bindings on torch, collected from the modules ``bench/torch_*.py``.

``python -m bench.torch_run [name ...]``
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import bench.support  # noqa: F401 - makes the makers of tiny checkpoints importable

HERE = Path(__file__).parent


def benchmarks() -> dict[str, Callable[[], None]]:
    """Every benchmark by its name; two of one name are an error."""
    found: dict[str, Callable[[], None]] = {}
    for path in sorted(HERE.glob("torch_*.py")):
        if path.stem == Path(__file__).stem:
            continue
        own: dict[str, Callable[[], None]] = importlib.import_module(f"bench.{path.stem}").BENCHMARKS
        if twice := own.keys() & found.keys():
            raise ValueError(f"{path.name} names {', '.join(sorted(twice))}, which another module has named.")
        found |= own
    return found


def main() -> None:
    found = benchmarks()
    for name in sys.argv[1:] or found:
        found[name]()


if __name__ == "__main__":
    main()
