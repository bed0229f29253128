"""Piper voices in memory: each loaded once in the process, a few kept by each binding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities import BindingDependencyError, ModelCache, ModelNotFoundError

from lollms_piper.durations import telling_durations
from lollms_piper.voices import read_config

if TYPE_CHECKING:
    from piper import PiperVoice


def load_voice(path: Path, n_threads: int, use_cuda: bool) -> PiperVoice:
    """Load a voice. ``PiperVoice.load`` has no way to say how many threads, so its parts are put together here."""
    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    config = read_config(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Threads that spin while they wait take the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = "CUDAExecutionProvider" if use_cuda else "CPUExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        raise BindingDependencyError(
            f"use_cuda=True, and the installed onnxruntime has {', '.join(onnxruntime.get_available_providers())}.",
            hint="Run pip install onnxruntime-gpu in place of onnxruntime, or leave use_cuda out.",
        )
    try:
        network = telling_durations(path) or str(path)
        session = onnxruntime.InferenceSession(network, sess_options=options, providers=[wanted])
        piper_config = PiperConfig.from_dict(config)
    except Exception as exc:  # onnxruntime raises classes of its own for each way in which a file can be wrong
        raise ModelNotFoundError(f"{str(path)!r} is no Piper voice: {exc}.", hint="Fetch the voice again.") from exc
    if wanted not in session.get_providers():
        raise BindingDependencyError(
            "use_cuda=True, and onnxruntime found no device it can use.",
            hint="Check the driver, or leave use_cuda out.",
        )
    return PiperVoice(config=piper_config, session=session, download_dir=path.parent)


def loaded_voices(limit: int, n_threads: int, use_cuda: bool) -> ModelCache[Path, PiperVoice]:
    """The voices that one binding has in memory, by their resolved paths."""
    how = (n_threads, use_cuda)
    return ModelCache(lambda path: load_voice(path, *how), key=("piper", *how), limit=limit)
