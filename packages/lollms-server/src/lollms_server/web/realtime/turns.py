"""Where somebody speaks, by voice activity: turns, with a little of what was before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lollms_modalities import VoiceStream

from lollms_server.web.realtime.setting import ServerVad
from lollms_server.web.realtime.sound import RATE

_FRAME = 512  # samples of one probability, 32 ms
_BYTES = 2 * _FRAME
_ONSET = 2  # frames in a row that begin a turn, as in the core's live transcription: one alone is a click
_GOES_ON = 0.15  # by so much less than where it begins speech goes on: a soft syllable ends nothing


class Heard(NamedTuple):
    """What was heard: that a turn begins, its sound, that it ends.

    Attributes:
        at: seconds at which it begins or ends, from the first sound on.
        pcm: the sound, 16 kHz.
    """

    kind: Literal["begins", "sound", "ends"]
    at: float = 0.0
    pcm: bytes = b""


class Turns:
    """Finds them in sound as it comes. Off the event loop: a network may be asked.

    Args:
        wanted: how long a pause ends a turn, and so on.
        detector: what tells speech from what is none.
        at: seconds of sound that came before.
        most: seconds after which a turn is ended, whatever is heard.
    """

    def __init__(self, wanted: ServerVad, detector: VoiceStream, at: float, most: float) -> None:
        self._detector = detector
        self._at = at
        self._begins = wanted.threshold
        self._goes_on = max(0.0, wanted.threshold - _GOES_ON)
        self._silence = max(1, round(wanted.silence_duration_ms * RATE / 1000 / _FRAME))
        self._before: deque[bytes] = deque(
            maxlen=_ONSET + -(-wanted.prefix_padding_ms * RATE // (1000 * _FRAME))
        )  # ceiling
        self._most = max(1, round(most * RATE / _FRAME))
        self._rest = b""
        self._count = 0  # frames heard
        self._onset = self._quiet = self._length = 0
        self.speaking = False

    def hear(self, pcm: bytes) -> Iterator[Heard]:
        """What these samples bring."""
        import numpy as np

        sound = self._rest + pcm
        chances = self._detector.feed(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768))
        told = len(chances) * _BYTES
        self._rest = sound[told:]
        held: list[bytes] = []  # sound of the turn under way
        for number, chance in enumerate(chances):
            frame = sound[number * _BYTES : (number + 1) * _BYTES]
            self._count += 1
            if self.speaking:
                held.append(frame)
                self._length += 1
                self._quiet = 0 if chance >= self._goes_on else self._quiet + 1
                if self._quiet >= self._silence or self._length >= self._most:
                    yield Heard("sound", pcm=b"".join(held))
                    held.clear()
                    yield self.stop()
                continue
            self._before.append(frame)
            self._onset = self._onset + 1 if chance >= self._begins else 0
            if self._onset >= _ONSET:
                yield Heard("begins", self._at + (self._count - len(self._before)) * _FRAME / RATE)
                held += self._before
                self._before.clear()
                self.speaking, self._quiet, self._length = True, 0, len(held)
        if held:
            yield Heard("sound", pcm=b"".join(held))

    def stop(self) -> Heard:
        """The turn under way ends here."""
        self.speaking, self._onset = False, 0
        return Heard("ends", self._at + self._count * _FRAME / RATE)
