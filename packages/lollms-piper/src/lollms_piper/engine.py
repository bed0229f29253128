"""Piper voices in memory: each loaded once in the process, a few kept by each binding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import BindingDependencyError, ModelCache, ModelNotFoundError

from lollms_piper.durations import telling_durations
from lollms_piper.voices import read_config

if TYPE_CHECKING:
    from piper import PiperVoice


# Voices without numbers of durations, by path and time of change.
_mute: set[tuple[Path, int]] = set()


def load_voice(path: Path, n_threads: int, use_cuda: bool) -> PiperVoice:
    """Load a voice. ``PiperVoice.load`` has no way to say how many threads, so its parts are put together here."""
    from piper import PiperVoice
    from piper.config import PiperConfig

    config = read_config(path)
    session = _session(path, str(path), n_threads, use_cuda)
    try:
        piper_config = PiperConfig.from_dict(config)
    except Exception as exc:
        raise _no_voice(path, exc) from exc
    return PiperVoice(config=piper_config, session=session, download_dir=path.parent)


def tells_durations(voice: PiperVoice, path: Path, n_threads: int, use_cuda: bool) -> bool:
    """Whether the voice tells how long it speaks each phoneme, and its phonemes can be told from its text.

    Its network is loaded with that output when this is asked first: whoever asks for no times need not wait for it.
    """
    if voice.config.phoneme_type.value not in ("espeak", "text"):
        return False
    if len(voice.session.get_outputs()) > 1:
        return True
    seen = (path.resolve(), path.stat().st_mtime_ns)
    if seen in _mute:
        return False
    network = telling_durations(path)
    if network is None:
        _mute.add(seen)
        return False
    voice.session = _session(path, network, n_threads, use_cuda)
    return True


def _session(path: Path, network: str | bytes, n_threads: int, use_cuda: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    # Threads that spin while they wait take the processor from everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not use_cuda:
        # Of such a network of float32 it makes nothing faster on a processor, and takes two thirds of the loading.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = "CUDAExecutionProvider" if use_cuda else "CPUExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        raise BindingDependencyError(
            f"use_cuda=True, and the installed onnxruntime has {', '.join(onnxruntime.get_available_providers())}.",
            hint="Run pip install onnxruntime-gpu in place of onnxruntime, or leave use_cuda out.",
        )
    try:
        session = onnxruntime.InferenceSession(network, sess_options=options, providers=[wanted])
    except Exception as exc:  # onnxruntime raises classes of its own for each way in which a file can be wrong
        raise _no_voice(path, exc) from exc
    if wanted not in session.get_providers():
        raise BindingDependencyError(
            "use_cuda=True, and onnxruntime found no device it can use.",
            hint="Check the driver, or leave use_cuda out.",
        )
    return session


def _no_voice(path: Path, exc: Exception) -> ModelNotFoundError:
    return ModelNotFoundError(f"{str(path)!r} is no Piper voice: {exc}.", hint="Fetch the voice again.")


def loaded_voices(limit: int, n_threads: int, use_cuda: bool) -> ModelCache[Path, PiperVoice]:
    """The voices that one binding has in memory, by their resolved paths."""
    how = (n_threads, use_cuda)
    return ModelCache(lambda path: load_voice(path, *how), key=("piper", *how), limit=limit)
