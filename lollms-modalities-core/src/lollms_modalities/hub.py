"""Models that are named by a path, by a folder among the user's models, or by a repository of a model hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lollms_modalities.errors import LollmsError, ModelNotFoundError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


def find_model(
    name: str | os.PathLike[str], *, folders: Sequence[Path] = (), marks: Sequence[str] = (), what: str = "model"
) -> Path | str:
    """The folder of a model, or the name of a repository, such as ``suno/bark-small``, for the engine to fetch.

    Args:
        name: a folder's path; a folder's name in one of ``folders``; or the name of a repository.
        folders: where the user's models lie.
        marks: names of files, one of which a folder of such a model holds, such as ``config.json``.
        what: what it is called in errors, such as "Bark model".

    Raises:
        ModelNotFoundError: the path is no folder or holds no such model; the name is neither a folder's nor can it be
            a repository's.
    """
    text = os.fspath(name)
    if not text or "\0" in text or len(text) > 4096:
        raise ModelNotFoundError(f"{text[:40]!r} is no name of a {what}.", hint=_known(folders, marks))
    path = Path(text).expanduser()
    if not isinstance(name, str) or path.is_absolute() or text.startswith(("./", "../", ".\\", "..\\")):
        return _checked(path, marks, what)
    for folder in folders:
        inside = folder / text
        if _is_folder(inside) and inside.resolve().is_relative_to(folder.resolve()):
            return _checked(inside, marks, what)
    # A folder of that name beside the program wins over the hub, as it does with the engines themselves.
    if _is_folder(path) and ".." not in path.parts:
        return _checked(path, marks, what)
    if _REPOSITORY.fullmatch(text) and ".." not in text:
        return text
    raise ModelNotFoundError(
        f"There is no {what} {text[:80]!r}: it is no folder, and no name of a repository.", hint=_known(folders, marks)
    )


def list_models(folders: Sequence[Path], marks: Sequence[str]) -> list[str]:
    """Names of the models in the folders, sorted: those of ``owner/name`` folders too. No folder, no models."""
    found: set[str] = set()
    for folder in folders:
        for pattern in ("*", "*/*"):
            for mark in marks:
                found.update(p.parent.relative_to(folder).as_posix() for p in folder.glob(f"{pattern}/{mark}"))
    return sorted(name for name in found if not name.startswith("."))


@contextmanager
def explain_loading(name: Path | str, what: str = "model") -> Iterator[None]:
    """Turn what transformers, diffusers and their hub raise when a model cannot be had into ``ModelNotFoundError``.

    That is: the hub cannot be reached or has no such repository, a file is missing, damaged, or is a pickle that holds
    more than numbers.
    """
    import pickle

    try:
        yield
    except LollmsError:
        raise
    except pickle.UnpicklingError as exc:
        raise ModelNotFoundError(
            f"The {what} {str(name)!r} holds a pickle with more than numbers in it, which could run anything; it was "
            "not loaded.",
            hint="Take the model as safetensors, or from somebody you trust.",
        ) from exc
    except Exception as exc:
        # The last is what safetensors says of a damaged file.
        if not isinstance(exc, (OSError, ValueError, KeyError)) and type(exc).__name__ != "SafetensorError":
            raise
        reason = str(exc).strip().splitlines() or [type(exc).__name__]
        if isinstance(name, Path):
            hint = "Fetch or save the model again."
        else:
            hint = (
                "Check the name; fetch it where there is a network (hf download), or give the path of a folder. "
                "HF_HUB_OFFLINE or local_files_only keep it from being fetched."
            )
        raise ModelNotFoundError(f"The {what} {str(name)!r} cannot be loaded: {reason[0][:300]}", hint=hint) from exc


def _checked(path: Path, marks: Sequence[str], what: str) -> Path:
    if not _is_folder(path):
        raise ModelNotFoundError(f"{str(path)[:200]!r} is no folder of a {what}.", hint="Give the path of one.")
    if marks and not any((path / mark).is_file() for mark in marks):
        raise ModelNotFoundError(
            f"The folder {str(path)[:200]!r} holds no {what}: it lacks {' and '.join(marks)}.",
            hint="Give the folder in which the model was saved.",
        )
    return path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long for any file
        return False


def _known(folders: Sequence[Path], marks: Sequence[str]) -> str:
    own = list_models(folders, marks)
    there = f"There are: {', '.join(own)}. " if own else ""
    return f"{there}Give the path of a folder, or a name such as owner/name."
