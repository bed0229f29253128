"""Where speech is, with Silero VAD 6 (https://github.com/snakers4/silero-vad) on onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lollms_speakers.networks import run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RATE = 16000
FRAME = 512  # samples: 32 ms
_CONTEXT = 64  # samples of the frame before that the network wants to see
_STATE = (1, 1, 128)
_BATCH = 1024  # frames at a time: half a minute

# Silero's own: speech begins at this probability and goes on above that one.
_BEGINS, _GOES_ON = 0.5, 0.35
# Where the network is less sure of all speech, as of a telephone's, both are less in proportion, down to this share.
_LEAST = 0.4
_PERHAPS = 0.2  # a probability above which most of it is speech
_SURELY = 16  # frames above ``_BEGINS``, without which there is none
_PAUSE = 0.1  # seconds below which a pause belongs to what is said
_SHORTEST = 0.1  # seconds of speech; less is a click
# Measured against the ends of spoken sentences: it hears speech begin late, and end late.
_EARLIER_START, _EARLIER_END = 0.03, 0.02


class SileroVoiceActivity:
    """Tells speech from what is none: a provider of the kind ``voice_activity``."""

    def stream(self) -> SileroStream:
        """A detector for one stream."""
        return SileroStream()


class SileroStream:
    """Voice activity of one stream of sound."""

    def __init__(self) -> None:
        import numpy as np

        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)
        # What has been fed and not looked at, after the context.
        self._waiting = np.zeros(_CONTEXT, np.float32)

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of speech of each frame of 32 ms that is whole with these samples.

        Args:
            samples: 16 kHz, mono, in [-1, 1], shape (n,).
        """
        import numpy as np

        sound = np.concatenate([self._waiting, np.asarray(samples, np.float32)])
        whole = (len(sound) - _CONTEXT) // FRAME
        self._waiting = sound[whole * FRAME :]
        found = [np.zeros(0, np.float32)]
        for first in range(0, whole, _BATCH):
            last = min(first + _BATCH, whole)
            part = sound[first * FRAME : last * FRAME + _CONTEXT]
            frames = np.lib.stride_tricks.sliding_window_view(part, FRAME + _CONTEXT)[::FRAME]
            heard, self._hidden, self._cell = run(
                "silero_vad.onnx", input=np.ascontiguousarray(frames), h=self._hidden, c=self._cell
            )
            found.append(heard.reshape(-1))
        return np.concatenate(found)


class Region(NamedTuple):
    """A stretch of speech between two pauses, in seconds."""

    start: float
    end: float


def regions(probabilities: npt.NDArray[np.float32], duration: float) -> list[Region]:
    """The stretches of speech.

    Args:
        probabilities: of each frame of 32 ms.
        duration: of the sound, in seconds.
    """
    import numpy as np

    share = _share(probabilities)
    frame = FRAME / RATE
    longest_pause = _PAUSE / frame
    found: list[Region] = []
    start: int | None = None
    end = 0
    # Frames that are quiet while nobody speaks need no look.
    for at in np.flatnonzero(probabilities >= _GOES_ON * share).tolist():
        if start is not None and at - end >= longest_pause:
            found.append(Region(start * frame, end * frame))
            start = None
        if start is None and probabilities[at] < _BEGINS * share:
            continue
        start = at if start is None else start
        end = at + 1
    if start is not None:
        found.append(Region(start * frame, end * frame))
    spoken = [region for region in found if region.end - region.start >= _SHORTEST]
    return [Region(max(0.0, r.start - _EARLIER_START), min(duration, r.end - _EARLIER_END)) for r in spoken]


def _share(probabilities: npt.NDArray[np.float32]) -> float:
    """What the probabilities of a recording's speech are, compared with those of clean speech."""
    import numpy as np

    if np.count_nonzero(probabilities >= _BEGINS) < _SURELY:
        return 1.0
    return float(np.clip(np.percentile(probabilities[probabilities >= _PERHAPS], 80), _LEAST, 1))
