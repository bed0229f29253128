"""Which models there are, and where their files lie. A model is a ``.pt`` file of openai-whisper's form."""

from __future__ import annotations

import os
from pathlib import Path

from lollms_modalities import ModelNotFoundError

# Names that openai-whisper fetches; those that are not the name of their file.
KNOWN = tuple(
    "tiny.en tiny base.en base small.en small medium.en medium large-v1 large-v2 large-v3 large large-v3-turbo "
    "turbo".split()
)
_FILES = {"large": "large-v3", "turbo": "large-v3-turbo"}
_SUFFIX = ".pt"


def list_models(folder: Path | None) -> list[str]:
    """The ``.pt`` files in ``folder``, and the names that openai-whisper knows."""
    try:
        found = [] if folder is None else [p.name for p in folder.iterdir() if p.suffix == _SUFFIX and p.is_file()]
    except OSError:
        found = []  # a folder that does not exist holds no models
    return [*sorted(found), *KNOWN]


def find_model(name: str, folder: Path | None) -> Path:
    """The file of a model; that of a known name need not be there yet.

    Args:
        name: a file's path, a file's name in ``folder`` (with ``.pt`` or without), or one of ``KNOWN``.
        folder: where models lie, or None.

    Raises:
        ModelNotFoundError: there is none.
    """
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=_known(folder))
    path = Path(os.path.expanduser(name))
    if path.is_absolute() or len(path.parts) > 1:
        return _file(path)
    places = [_cache()] if folder is None else [folder, _cache()]
    if folder is not None and name not in (".", ".."):
        for inside in (folder / name, folder / f"{name}{_SUFFIX}"):
            if inside.is_file():
                return inside
    if name in KNOWN:
        files = [place / f"{_FILES.get(name, name)}{_SUFFIX}" for place in places]
        return next((file for file in files if file.is_file()), files[0])
    if path.suffix == _SUFFIX and path.is_file():
        return path
    raise ModelNotFoundError(f"There is no model {name[:80]!r}.", hint=_known(folder))


def known_name(path: Path) -> str | None:
    """The name of a known model whose file has this path's name."""
    return next((name for name in KNOWN if _FILES.get(name, name) == path.stem), None)


def _cache() -> Path:
    """Where openai-whisper keeps what it has fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    raise ModelNotFoundError(
        f"{str(path)[:200]!r} is no file.", hint="Give the path of a .pt file that openai-whisper loads."
    )


def _known(folder: Path | None) -> str:
    own = [name for name in list_models(folder) if name not in KNOWN]
    there = f"In models_path: {', '.join(own)}. " if own else ""
    return f"{there}Give the path of a .pt file, or one of {', '.join(KNOWN)}."
