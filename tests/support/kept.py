"""What takes long to make and is the same each time: made once, kept in the user's cache folder by its content.

The name of what is kept holds a digest of all that it depends on, so that it is made anew when one of that changes.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Those that write tiny models.
_LIBRARIES = ("torch", "transformers", "diffusers", "coqui-tts", "safetensors")


def kept(name: str, make: Callable[[Path], object], *, of: tuple[object, ...]) -> Path:
    """The folder that ``make`` has filled, now or in an earlier run. It is not to be changed.

    Args:
        name: says what it is.
        make: fills the empty folder that it is given.
        of: what the content depends on: texts, versions; of a path, what its file holds.
    """
    digest = hashlib.sha256()
    for part in of:
        digest.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
        digest.update(b"\0")
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lollms-tests"
    folder = root / f"{name}-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f"{folder.name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=root) as work:
                made = Path(work) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def copy_of(name: str, target: Path, make: Callable[[Path], object], *, of: tuple[object, ...]) -> Path:
    """As ``kept``, copied to ``target``, which tests may change."""
    return Path(shutil.copytree(kept(name, make, of=of), target, dirs_exist_ok=True))


def made_by(make: Callable[..., object], target: Path, **arguments: object) -> Path:
    """What a maker of tiny models writes into its folder, copied to ``target``; made anew when its code changes."""
    of = (Path(inspect.getfile(make)), sorted(arguments.items()), [version_of(name) for name in _LIBRARIES])
    return copy_of(make.__name__, target, functools.partial(make, **arguments), of=of)


def version_of(distribution: str) -> str:
    """The version that is installed, "" where none is."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
