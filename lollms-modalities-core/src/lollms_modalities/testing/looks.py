"""What is wrong with sound, pictures and films, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

QUIET = 0.003  # of full scale, some -50 dB: nobody hears it, and 16 bits hold little of it
DARK = 8  # of 255
_MOVES = 24  # of 255: what an encoder changes in a picture that stays is less, but for some pixels
_PART = 0.002  # of a picture
_EDGE = 0.6  # of full scale: beyond it a sample may have come round
_JUMP = 1.4  # of full scale, from one sample to the next
_SMOOTH = 0.5  # how far a sound may turn from its direction


def wrapped(samples: npt.NDArray[np.float32]) -> int:
    """How often a sound comes out at the other end of the 16 bits, as where it was too loud for them; 0 for any other.

    Where it has come round, it goes on smoothly if one turn (2.0) is added or taken off; loud noise does not.
    """
    found = 0
    for channel in np.atleast_2d(samples.T if samples.ndim > 1 else samples):
        if len(channel) < 4:
            continue
        before, here, after = channel[:-2], channel[1:-1], channel[2:]
        step = after - here
        jumps = (np.abs(step) > _JUMP) & (np.abs(here) > _EDGE / 2) & (here * after < 0)
        if not jumps.any():
            continue
        turned = after - 2.0 * np.sign(step)
        direction = here - before
        smooth = jumps & (np.abs(turned - here - direction) < _SMOOTH) & (np.abs(direction) < 1.0)
        if smooth.sum() >= 4 and smooth.sum() > 0.7 * jumps.sum():
            found += int(smooth.sum())
    return found


def dark(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture (height, width, channels) is black, or nearly."""
    return int(pixels.max(initial=0)) < DARK


def still(frames: list[npt.NDArray[np.uint8]]) -> bool:
    """Whether all frames of a film show the same."""
    first = frames[0].astype(np.int16)
    changes = (np.abs(frame.astype(np.int16) - first).max(axis=2) > _MOVES for frame in frames[1:])
    return not any(float(change.mean()) > _PART for change in changes)


def unfilled(samples: npt.NDArray[np.float32]) -> float:
    """The part at the end of a sound, of all of it, in which every sample is zero: where a buffer was not filled."""
    heard = np.flatnonzero(samples.reshape(len(samples), -1).any(axis=1))
    return 1.0 - (heard[-1] + 1) / len(samples) if len(heard) else 1.0


def loudness(samples: Any) -> float:
    """The largest sample, of full scale."""
    return float(np.abs(samples).max(initial=0.0))
