"""A Whisper model in memory: loaded once in the process, whoever uses it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lollms_modalities import BindingDependencyError, ModelCache, ModelNotFoundError

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


class How(NamedTuple):
    """How a model is loaded."""

    device: str
    compute_type: str
    n_threads: int
    local_files_only: bool


def load(model: Path | str, how: How) -> WhisperModel:
    """Load a model from its folder, or fetch the one of that name first."""
    import ctranslate2
    from faster_whisper import WhisperModel, download_model

    device = how.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    elif device == "cuda" and not ctranslate2.get_cuda_device_count():
        raise BindingDependencyError("device='cuda', and CTranslate2 finds no GPU.", hint="Use device='auto'.")
    compute_type = how.compute_type
    if compute_type == "default":
        compute_type = "float16" if device == "cuda" else "int8"
    if isinstance(model, str):
        try:
            model = Path(download_model(model, local_files_only=how.local_files_only))
        except Exception as exc:  # the hub's client raises classes of many libraries
            raise ModelNotFoundError(
                f"The model {model!r} is not on this machine and cannot be fetched ({type(exc).__name__}).",
                hint="Run lollms install faster-whisper, give the path of a model, or go online.",
            ) from exc
    try:
        return WhisperModel(
            str(model), device=device, compute_type=compute_type, cpu_threads=how.n_threads, local_files_only=True
        )
    except (RuntimeError, ValueError) as exc:
        raise ModelNotFoundError(
            f"{str(model)!r} cannot be loaded as {compute_type} on {device}: {exc}.",
            hint="Fetch or convert the model again, or choose another compute_type.",
        ) from exc


def loaded_model(how: How) -> ModelCache[Path | str, WhisperModel]:
    """The model that one binding has in memory. Another takes its place once it is loaded itself."""
    return ModelCache(lambda model: load(model, how), key=("faster-whisper", *how))
