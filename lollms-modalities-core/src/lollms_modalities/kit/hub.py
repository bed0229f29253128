"""Models that are named by a path, by a folder among the user's models, or by a repository of a model hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lollms_modalities.errors import BindingDependencyError, LollmsError, ModelNotFoundError
from lollms_modalities.kit.quieting import quiet as quiet

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
    path = Path(os.path.expanduser(text))
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
def explain_loading(
    name: Path | str, what: str = "model", *, mark: str = "config.json", local_files_only: bool = False
) -> Iterator[None]:
    """Turn what transformers, diffusers and their hub raise when a model cannot be had into ``ModelNotFoundError``.

    That is: the hub cannot be reached or has no such repository, a file is missing, damaged, or is a pickle that holds
    more than numbers. Imports that take their time belong inside: a repository that may not be fetched, and never was,
    is refused before them. A library that is missing becomes a ``BindingDependencyError``.

    Args:
        mark: a file that each repository of such a model holds; "" where there is none.
        local_files_only: nothing is to be fetched. ``HF_HUB_OFFLINE`` means the same.
    """
    import pickle

    if mark:
        _refuse_to_fetch(name, what, mark, local_files_only)
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
    except ImportError as exc:
        raise BindingDependencyError(
            f"The {what} {str(name)!r} cannot be loaded: {_first_line(exc)[:300]}",
            hint="Install with pip what it needs, in a version that fits the rest.",
        ) from exc
    except Exception as exc:
        if (reason := _reason(exc)) is None:
            raise
        hint = "Fetch or save the model again." if isinstance(name, Path) else _TO_FETCH
        raise ModelNotFoundError(f"The {what} {str(name)!r} cannot be loaded: {reason[:300]}", hint=hint) from exc


def _reason(error: Exception) -> str | None:
    """What is wrong with the model, where that is what the error says."""
    first = _first_line(error)
    if isinstance(error, (OSError, ValueError, KeyError, EOFError)) or type(error).__name__ == "SafetensorError":
        return first
    if isinstance(error, RuntimeError) and "PytorchStreamReader" in first:
        return first
    if isinstance(error, RuntimeError) and ("ignore_mismatched_sizes" in first or "size mismatch" in str(error)):
        return "its weights have other sizes than its configuration says."
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_TO_FETCH = (
    "Check the name; fetch it where there is a network (hf download), or give the path of a folder. "
    "HF_HUB_OFFLINE or local_files_only keep it from being fetched."
)


def fetched_model(name: Path | str, *, mark: str = "config.json", local_files_only: bool = False) -> Path | str:
    """In the place of a repository that may not be fetched, its folder in the hub's cache; else ``name``.

    Even told to use local files only, the hub's client asks the hub for things of its own; with a folder it does not.
    """
    if isinstance(name, Path) or not _offline(local_files_only):
        return name
    return _cached(name, mark) or name


def _refuse_to_fetch(name: Path | str, what: str, mark: str, local_files_only: bool) -> None:
    if isinstance(name, str) and _offline(local_files_only) and _cached(name, mark) is None:
        why = "local_files_only is set" if local_files_only else "HF_HUB_OFFLINE is set"
        raise ModelNotFoundError(
            f"The {what} {name!r} is not on this machine and is not fetched: {why}.", hint=_TO_FETCH
        )


def _offline(local_files_only: bool) -> bool:
    try:
        from huggingface_hub import constants
    except ImportError:
        return False  # whoever loads the model says so
    return local_files_only or bool(constants.HF_HUB_OFFLINE)


def _cached(name: str, mark: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, mark)
    return Path(found).parent if isinstance(found, str) else None


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
