"""Silero's voice activity detector, which faster-whisper brings, for sound that comes bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FRAME = 512  # samples at 16 kHz, 32 ms
_CONTEXT = 64  # samples of the frame before, which the network hears again


class SileroVoiceActivity:
    """The detector in faster-whisper's ``assets`` (https://github.com/snakers4/silero-vad), run by onnxruntime."""

    def stream(self) -> SileroStream:
        """A detector for one stream."""
        from faster_whisper.vad import get_vad_model

        return SileroStream(get_vad_model().session)  # made once in a process


class SileroStream:
    """The detector with the memory of one stream."""

    def __init__(self, session: Any) -> None:
        import numpy as np

        self._session = session
        self._sound = np.zeros(_CONTEXT, np.float32)  # the context, and what is no whole frame yet
        self._h = self._c = np.zeros((1, 1, 128), np.float32)

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of speech of each frame of 32 ms that is whole with these samples (16 kHz, in [-1, 1])."""
        import numpy as np

        sound = np.concatenate([self._sound, samples.astype(np.float32, copy=False)])
        frames = (len(sound) - _CONTEXT) // _FRAME
        self._sound = sound[frames * _FRAME :].copy()
        if not frames:
            return np.zeros(0, np.float32)
        heard = np.stack([sound[n * _FRAME : (n + 1) * _FRAME + _CONTEXT] for n in range(frames)])
        found, self._h, self._c = self._session.run(None, {"input": heard, "h": self._h, "c": self._c})
        return np.asarray(found, np.float32).reshape(-1)
