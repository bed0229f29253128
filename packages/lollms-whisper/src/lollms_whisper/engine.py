"""A Whisper model in memory: loaded once in the process, whoever uses it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities import CallCancelled, CallTimeout, ModelCache, ModelNotFoundError, ServiceError
from lollms_modalities.kit import download
from lollms_modalities.kit.torch import free_memory, pick_device, translate_error

from lollms_whisper import models

if TYPE_CHECKING:
    from whisper import Whisper
    from whisper.model import ModelDimensions


class How(NamedTuple):
    """How a model is loaded."""

    device: str
    local_files_only: bool


def load(path: Path, how: How) -> Whisper:
    """Load a model from its file, after fetching it if it is a known one that is not there."""
    import whisper

    device = pick_device(how.device)
    if device.type == "mps":
        device = pick_device("cpu")  # a Whisper model holds a sparse tensor, for which Apple's GPUs have no place
    if not path.is_file():
        _fetch(path, how)
    with _explained(path):
        model = whisper.load_model(str(path), device=device)  # weights_only: no code in a pickle runs
    heads = _alignment_heads(path, model.dims)
    if heads is not None:
        model.set_alignment_heads(heads)
        model.to(device)
    free_memory(device)  # on a GPU, of what was read from the file
    return model


def loaded_model(how: How) -> ModelCache[Path, Whisper]:
    """The model that one binding has in memory. Another takes its place once it is loaded itself."""
    return ModelCache(lambda path: load(path, how), key=("openai-whisper", *how), free=_free)


def _free(model: Whisper) -> None:
    device = model.device
    vars(model).clear()  # whoever calls this still holds the model itself
    free_memory(device)


def _fetch(path: Path, how: How) -> None:
    """Fetch a known model into its place. Whisper's own way prints, has no time limit and may leave half a file."""
    import whisper

    name = models.known_name(path)
    assert name is not None, "find_model gives other files only where they are"
    url: str = whisper._MODELS[name]
    hint = f"Fetch {url} where there is a network and put it into {path.parent}, or give the path of a .pt file."
    if how.local_files_only:
        raise ModelNotFoundError(
            f"The model {name!r} is not on this machine, and local_files_only forbids to fetch it.", hint=hint
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download(url, path, sha256=url.split("/")[-2])
    except (CallCancelled, CallTimeout):
        raise
    except (ServiceError, OSError) as exc:
        reason = exc.message if isinstance(exc, ServiceError) else str(exc)
        raise ModelNotFoundError(
            f"The model {name!r} is not on this machine and cannot be fetched: {reason}", hint=hint
        ) from exc


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a file that is no Whisper model makes torch and Whisper raise into ``ModelNotFoundError``."""
    try:
        yield
    except pickle.UnpicklingError as exc:
        raise ModelNotFoundError(
            f"{str(path)!r} holds more than numbers, which could run anything, or is damaged; it was not loaded.",
            hint="Take the model from somebody you trust, or fetch it again.",
        ) from exc
    except (RuntimeError, OSError, EOFError, LookupError, TypeError, ValueError, AttributeError) as exc:
        if translate_error(exc) is not None:
            raise  # out of memory, which torch says in more ways than one
        reason = str(exc).strip().splitlines() or [""]
        raise ModelNotFoundError(
            f"{str(path)!r} is no model of openai-whisper, or damaged ({type(exc).__name__}: {reason[0][:200]}).",
            hint="Fetch it again; a model of transformers must be converted first.",
        ) from exc


# Of each size: layers and heads of the decoder, and words. Of one size were large-v1 and large-v2, the better one.
_SIZES = {
    (4, 6, 51864): "tiny.en", (4, 6, 51865): "tiny",
    (6, 8, 51864): "base.en", (6, 8, 51865): "base",
    (12, 12, 51864): "small.en", (12, 12, 51865): "small",
    (24, 16, 51864): "medium.en", (24, 16, 51865): "medium",
    (32, 20, 51865): "large-v2", (32, 20, 51866): "large-v3",
    (4, 20, 51866): "large-v3-turbo",
}  # fmt: skip


def _alignment_heads(path: Path, dims: ModelDimensions) -> bytes | None:
    """Which heads of a model tell when a word is said; a file does not hold that.

    By the size, so that a model that was trained further has those of its origin. None for an unknown size.
    """
    import whisper

    by_size = _SIZES.get((dims.n_text_layer, dims.n_text_head, dims.n_vocab))
    if path.stem == "large-v1" and by_size == "large-v2":
        by_size = "large-v1"
    return whisper._ALIGNMENT_HEADS.get(by_size) if by_size else None
