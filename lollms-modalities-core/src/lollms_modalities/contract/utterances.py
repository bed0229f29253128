"""Where one utterance ends and the next begins, told by voice activity as the sound comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.contract.providers import VoiceStream

RATE = 16000
FRAME = 512  # samples of one probability, 32 ms
SECOND = RATE / FRAME  # frames

_BEGINS, _GOES_ON = 0.5, 0.35  # probabilities of speech; hysteresis, so that a soft syllable ends nothing
_ONSET = 2  # frames in a row that begin an utterance: one alone is a click
_BEFORE = 8  # frames that are heard before it, since soft consonants are not noticed
_PAUSE = 10  # frames without speech that end it, 0.32 s
_SHORT_PAUSE = 5  # that end one which is long already
_LONG = 6 * SECOND
_LONGEST = int(12 * SECOND)  # then it is cut at its quietest place
_LAST = int(4 * SECOND)  # in so much of its end


class Utterance(NamedTuple):
    """What was said between two pauses, or so far.

    Attributes:
        number: from 1; the same while it grows.
        samples: float32, shape (n,), 16 kHz, from a little before its beginning.
        offset: seconds at which ``samples`` begin.
        start, end: seconds from the first to the last speech in it.
        pausing: whether it was silent at the last.
    """

    number: int
    samples: npt.NDArray[np.float32]
    offset: float
    start: float
    end: float
    pausing: bool


class Utterances:
    """Cuts sound into utterances. What is no speech is dropped, so that hours of silence take no room."""

    def __init__(self, detector: VoiceStream) -> None:
        self._detector = detector
        self._rest: list[npt.NDArray[np.float32]] = []  # samples whose probability is not told yet
        self._before: deque[npt.NDArray[np.float32]] = deque(maxlen=_BEFORE + _ONSET)
        self._frames: list[npt.NDArray[np.float32]] = []  # of the utterance; empty in silence
        self._first = 0  # number of the first of them
        self._voiced_first = self._voiced_last = 0
        self._time = 0  # frames told so far
        self._onset = 0
        self._number = 0

    @property
    def speaking(self) -> bool:
        """Whether one has begun."""
        return bool(self._frames)

    @property
    def spoken(self) -> float:
        """Seconds from its beginning to its last speech."""
        return (self._voiced_last + 1 - self._voiced_first) / SECOND if self._frames else 0.0

    @property
    def pausing(self) -> bool:
        """Whether it has been silent just long enough to be a pause, maybe."""
        return self.speaking and self._time - self._voiced_last > _SHORT_PAUSE

    def hear(self, samples: npt.NDArray[np.float32]) -> Iterator[Utterance]:
        """Those that end in these samples: shape (n,), 16 kHz, in [-1, 1]."""
        import numpy as np

        if not len(samples):
            return
        self._rest.append(samples)
        chances = self._detector.feed(samples)
        if not len(chances):
            return
        sound = np.concatenate(self._rest)
        told = len(chances) * FRAME
        self._rest = [sound[told:]]
        for n, chance in enumerate(chances):
            # Copied, so that a frame which is kept keeps nothing else.
            yield from self._step(sound[n * FRAME : (n + 1) * FRAME].copy(), float(chance))

    def now(self) -> Utterance:
        """The one that is being said, as far as it is known."""
        return self._made(len(self._frames))

    def finish(self) -> Iterator[Utterance]:
        """The last one, where the sound ends in the middle of it."""
        if self._frames:
            self._frames += self._rest
            yield self._ended(len(self._frames))
        self._rest = []

    def _step(self, frame: npt.NDArray[np.float32], chance: float) -> Iterator[Utterance]:
        number, self._time = self._time, self._time + 1
        if not self._frames:
            self._before.append(frame)
            self._onset = self._onset + 1 if chance >= _BEGINS else 0
            if self._onset >= _ONSET:
                self._begin(number)
            return
        self._frames.append(frame)
        if chance >= _GOES_ON:
            self._voiced_last = number
        quiet = number - self._voiced_last
        if quiet >= _PAUSE or (quiet >= _SHORT_PAUSE and len(self._frames) > _LONG):
            yield self._ended(len(self._frames))
        elif len(self._frames) >= _LONGEST:
            yield self._cut()

    def _begin(self, number: int) -> None:
        self._frames = list(self._before)
        self._before.clear()
        self._first = number + 1 - len(self._frames)
        self._voiced_first, self._voiced_last = number + 1 - self._onset, number
        self._number += 1
        self._onset = 0

    def _made(self, count: int) -> Utterance:
        import numpy as np

        return Utterance(
            self._number,
            np.concatenate(self._frames[:count]),
            self._first / SECOND,
            self._voiced_first / SECOND,
            (min(self._voiced_last, self._first + count - 1) + 1) / SECOND,
            self.pausing,
        )

    def _ended(self, count: int) -> Utterance:
        ended = self._made(count)
        self._before.extend(self._frames[-_PAUSE:])
        self._frames = []
        return ended

    def _cut(self) -> Utterance:
        """The one that goes on for too long, up to its quietest place; what follows begins the next."""
        import numpy as np

        loud = np.array([float(np.dot(f, f)) for f in self._frames[-_LAST:]])
        smooth = np.convolve(loud, np.ones(3), mode="valid")  # a moment between words, and not within one
        count = len(self._frames) - _LAST + int(smooth[:-_ONSET].argmin()) + 2
        ended = self._made(count)
        self._frames = self._frames[count:]
        self._first += count
        self._voiced_first = self._first
        self._number += 1
        return ended
