"""Piper voices in memory: each loaded once in the process, a few kept by each binding."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lollms_modalities import BindingDependencyError, ModelNotFoundError, SharedModel

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
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=[wanted])
        piper_config = PiperConfig.from_dict(config)
    except Exception as exc:  # onnxruntime raises classes of its own for each way in which a file can be wrong
        raise ModelNotFoundError(f"{str(path)!r} is no Piper voice: {exc}.", hint="Fetch the voice again.") from exc
    if wanted not in session.get_providers():
        raise BindingDependencyError(
            "use_cuda=True, and onnxruntime found no device it can use.",
            hint="Check the driver, or leave use_cuda out.",
        )
    return PiperVoice(config=piper_config, session=session, download_dir=path.parent)


class LoadedVoices:
    """The voices that one binding has in memory: at most ``limit``, the least recently used goes first."""

    def __init__(self, limit: int, n_threads: int, use_cuda: bool) -> None:
        self._limit = limit
        self._how = (n_threads, use_cuda)
        self._voices: OrderedDict[Path, SharedModel[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> PiperVoice:
        """The voice, loaded if need be."""
        path = path.resolve()
        with self._lock:
            if path not in self._voices:
                how = self._how
                self._voices[path] = SharedModel(key=("piper", path, *how), load=lambda: load_voice(path, *how))
                while len(self._voices) > self._limit:
                    self._voices.popitem(last=False)[1].release()
            self._voices.move_to_end(path)
            voice: PiperVoice = self._voices[path].value
            return voice

    def __len__(self) -> int:
        return len(self._voices)

    def clear(self) -> None:
        """Let go of all voices."""
        with self._lock:
            while self._voices:
                self._voices.popitem()[1].release()
