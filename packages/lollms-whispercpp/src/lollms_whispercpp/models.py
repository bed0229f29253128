"""Which models there are. A model is a file that whisper.cpp's converter made, known by its first bytes."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

from lollms_modalities import ModelNotFoundError

_SUFFIXES = (".bin", ".gguf")
_GGML, _GGUF = b"lmgg", b"GGUF"
_ENGLISH = 51864  # tokens of a model that knows English only; all others have more


class Model(NamedTuple):
    """A model's file, and whether it knows English only (False where its header does not tell)."""

    path: Path
    english_only: bool


def list_models(default: Path | None, folder: Path | None) -> list[str]:
    """The default model and the file names of the models in a folder, sorted."""
    names = [path.name for path in _models_in(folder)]
    own = str(default) if default is not None and str(default) not in names else None
    return names if own is None else [own, *names]


def find_model(name: str | None, default: Path | None, folder: Path | None) -> Model:
    """The model that was named.

    Args:
        name: a path, or the name of a file in ``folder``, with or without "ggml-" and its suffix; None for the default.
        default: a path, or the name of a file in ``folder``; None where ``folder`` has one model only.
        folder: where models lie.

    Raises:
        ModelNotFoundError: there is none, or its file is no model of whisper.cpp.
    """
    if name is None and default is None:
        found = _models_in(folder)
        if len(found) == 1:
            return _read(found[0])
        said = f"there are {len(found)} in models_search_path" if found else "models_search_path has none"
        raise ModelNotFoundError(f"No model was named, and {said}.", hint=_known(default, folder))
    if name is None:
        assert default is not None
        return _inside(str(default), folder) or _read(default)
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=_known(default, folder))
    if len(Path(name).parts) > 1:
        return _read(Path(name))
    own = default if default is not None and name in _names(default) else None
    found_model = _inside(name, folder) or (_read(own) if own else None)
    if found_model is None:
        raise ModelNotFoundError(f"There is no model {name[:80]!r}.", hint=_known(default, folder))
    return found_model


def _inside(name: str, folder: Path | None) -> Model | None:
    found = next((path for path in _models_in(folder) if name in _names(path)), None)
    return None if found is None else _read(found)


def _names(path: Path) -> tuple[str, ...]:
    return path.name, path.stem, path.stem.removeprefix("ggml-")


def _models_in(folder: Path | None) -> list[Path]:
    try:
        found = [] if folder is None else sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    except OSError:
        return []  # a folder that does not exist holds no models
    return [path for path in found if _tokens(path) is not None]


def _read(path: Path) -> Model:
    path = Path(os.path.expanduser(path))
    try:
        there = path.is_file()  # asked first: nothing is opened that is no file
    except OSError:
        there = False
    tokens = _tokens(path) if there else None
    if tokens is not None:
        return Model(path.absolute(), tokens == _ENGLISH)
    raise ModelNotFoundError(
        f"{str(path)[:200]!r} {'is no model of whisper.cpp' if there else 'is no file'}.",
        hint="Give the path of a ggml .bin or .gguf file of a Whisper model.",
    )


def _tokens(path: Path) -> int | None:
    """The size of the model's vocabulary, 0 where the format does not tell so soon; None where it is no model."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return None
    if head[:4] == _GGUF:
        return 0
    if head[:4] != _GGML or len(head) < 8:
        return None
    (tokens,) = struct.unpack("<i", head[4:])
    # Models that tell speech from silence begin alike, with a smaller number here.
    return tokens if tokens >= _ENGLISH else None


def _known(default: Path | None, folder: Path | None) -> str:
    names = list_models(default, folder)
    return f"Known models: {', '.join(names)}." if names else "Set model_path, or models_search_path."
