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
_ABOVE = 4400  # Hz
# Speech has a ten-thousandth of its power up there, or more; 16 bits, MP3 and Opus add less than this.
_NARROW = 1e-5

# Silero's own: speech begins at this probability and goes on above that one.
_BEGINS, _GOES_ON = 0.5, 0.35
# Where the network is less sure of all speech, as of a telephone's, both are less in proportion, down to this share.
_LEAST = 0.4
_PERHAPS = 0.2  # a probability above which most of it is speech
_SURELY = 16  # frames above ``_BEGINS``, without which there is none
_PAUSE = 0.1  # seconds below which a pause belongs to what is said
_SHORTEST = 0.1  # seconds of speech; less is a click
# Measured against the ends of spoken sentences: it hears speech begin late, and end late.
_EARLIER_START, _EARLIER_END, _EARLIER_END_OF_NARROW = 0.03, 0.02, 0.07


class SileroVoiceActivity:
    """Tells speech from what is none: a provider of the kind ``voice_activity``."""

    def stream(self) -> SileroStream:
        """A detector for one stream."""
        return SileroStream()


class SileroStream:
    """Voice activity of one stream of sound.

    Of sound that has nothing above 4 kHz, as a telephone's, the network for 16 kHz misses a tenth to a half of what is
    said; that for 8 kHz hears it. Which of them is heard follows from the sound so far.

    Args:
        narrow: whether the sound is such, where that is known.
    """

    def __init__(self, narrow: bool | None = None) -> None:
        import numpy as np

        self._narrow = narrow
        self._networks = {
            of_narrow: _Network(name, every)
            for of_narrow, name, every in ((False, "silero_vad.onnx", 1), (True, "silero_vad_8k.onnx", 2))
            if narrow in (None, of_narrow)
        }
        self._power = np.zeros(2)  # above 4.4 kHz, and in all, so far
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
            heard = {of_narrow: network.hear(frames) for of_narrow, network in self._networks.items()}
            if self._narrow is None:
                found.append(np.where(self._is_narrow(frames[:, _CONTEXT:]), heard[True], heard[False]))
            else:
                found.append(heard[self._narrow])
        return np.concatenate(found)

    def _is_narrow(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Of each frame: whether all up to it has nothing above 4 kHz."""
        import numpy as np

        so_far = np.cumsum(_powers(frames), axis=0) + self._power
        self._power = so_far[-1]
        narrow: npt.NDArray[np.bool_] = so_far[:, 0] < _NARROW * so_far[:, 1]
        return narrow


class _Network:
    """One of the networks, with what it remembers of the frames before.

    Args:
        every: of so many samples at 16 kHz it hears one.
    """

    def __init__(self, name: str, every: int) -> None:
        import numpy as np

        self._name = name
        self._every = every
        self._hidden = np.zeros(_STATE, np.float32)
        self._cell = np.zeros(_STATE, np.float32)

    def hear(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probability of speech of each frame, shape (n,)."""
        import numpy as np

        taken = np.ascontiguousarray(frames[:, :: self._every])
        heard, self._hidden, self._cell = run(self._name, input=taken, h=self._hidden, c=self._cell)
        return heard.reshape(-1)


def is_narrow(sound: npt.NDArray[np.float32]) -> bool:
    """Whether a recording has nothing above 4 kHz, as a telephone's.

    Args:
        sound: 16 kHz, mono, shape (n,).
    """
    import numpy as np

    whole = len(sound) // FRAME
    power = np.zeros(2)
    for first in range(0, whole, _BATCH):
        frames = sound[first * FRAME : min(first + _BATCH, whole) * FRAME].reshape(-1, FRAME)
        power += _powers(frames).sum(axis=0)
    return bool(power[0] < _NARROW * power[1])


def _powers(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Of each frame the power above 4.4 kHz, and all of it, shape (n, 2)."""
    import numpy as np

    spectra = np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32))
    power = spectra.real**2 + spectra.imag**2
    return np.stack([power[:, int(_ABOVE * FRAME / RATE) :].sum(axis=1), power.sum(axis=1)], axis=1, dtype=np.float64)


class Region(NamedTuple):
    """A stretch of speech between two pauses, in seconds."""

    start: float
    end: float


def regions(probabilities: npt.NDArray[np.float32], duration: float, *, narrow: bool = False) -> list[Region]:
    """The stretches of speech.

    Args:
        probabilities: of each frame of 32 ms.
        duration: of the sound, in seconds.
        narrow: whether the sound has nothing above 4 kHz.
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
    late = _EARLIER_END_OF_NARROW if narrow else _EARLIER_END
    return [Region(max(0.0, r.start - _EARLIER_START), min(duration, r.end - late)) for r in spoken]


def _share(probabilities: npt.NDArray[np.float32]) -> float:
    """What the probabilities of a recording's speech are, compared with those of clean speech."""
    import numpy as np

    if np.count_nonzero(probabilities >= _BEGINS) < _SURELY:
        return 1.0
    return float(np.clip(np.percentile(probabilities[probabilities >= _PERHAPS], 80), _LEAST, 1))
