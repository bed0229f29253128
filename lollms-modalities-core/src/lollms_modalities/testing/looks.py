"""What is wrong with sound, pictures and films, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

QUIET = 0.003  # of full scale, some -50 dB: nobody hears it, and 16 bits hold little of it
DARK = 8  # of 255
_POINTS = 0.0005  # of a picture, that are more than points
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
    """Whether a picture (height, width, channels) is black, or nearly: but for some points."""
    return float((pixels.max(axis=2) >= DARK).mean()) < _POINTS


def still(frames: list[npt.NDArray[np.uint8]]) -> bool:
    """Whether all frames of a film show the same, or all but the first."""

    def same(some: list[npt.NDArray[np.uint8]]) -> bool:
        first = some[0].astype(np.int16)
        changes = (np.abs(frame.astype(np.int16) - first).max(axis=2) > _MOVES for frame in some[1:])
        return not any(float(change.mean()) > _PART for change in changes)

    return same(frames) or (len(frames) > 3 and same(frames[1:]))


def unfilled(samples: npt.NDArray[np.float32]) -> float:
    """The part at the end of a sound, of all of it, in which every sample is zero: where a buffer was not filled."""
    heard = np.flatnonzero(samples.reshape(len(samples), -1).any(axis=1))
    return 1.0 - (heard[-1] + 1) / len(samples) if len(heard) else 1.0


def alike_at_the_end(one: Any, other: Any) -> bool:
    """Whether the last third of two sounds is the same, from where both are heard for the last time."""
    ends = []
    for sound in (one, other):
        samples = np.asarray(sound.to_numpy()).reshape(-1)
        heard = np.flatnonzero(samples)
        ends.append(samples[: heard[-1] + 1] if len(heard) else samples)
    count = min(map(len, ends)) // 3
    return count > 0 and np.array_equal(ends[0][-count:], ends[1][-count:])


def loudness(samples: Any) -> float:
    """How loud the loud parts of a sound are, of full scale: what one sample in two hundred exceeds."""
    return float(np.quantile(np.abs(samples), 0.995)) if np.size(samples) else 0.0
