"""Where a first window of speech may end, so that its text need not wait for thirty seconds of it to be heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RATE = 16000
LENGTH = 30.0  # seconds that Whisper hears at once
_PAUSE = 100  # ms; in shorter ones the detector cuts no speech, however long it is
_SEARCHED = 10.0  # seconds in which somebody who speaks breathes


def first_pause(samples: npt.NDArray[np.float32], seconds: float) -> int:
    """How many samples lie before the first pause after so many seconds of speech; 0 where there is none soon.

    The cut is in the middle of the pause, or 0.4 s behind the speech where the pause is long.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    heard = 0
    near = samples[: int(min(LENGTH, seconds + _SEARCHED) * RATE)]
    for part in get_speech_timestamps(near, VadOptions(min_silence_duration_ms=_PAUSE))[:-1]:  # the last may go on
        heard += part["end"] - part["start"]
        if heard >= seconds * RATE:
            return int(part["end"])
    return 0
