"""Decoded sound on its way to an engine: samples as floats, channels as one, each at its place in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import MediaError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# In one block of so many seconds it is decided which channels are turned over.
BLOCK = 0.5
_ALIKE = 0.5  # correlation from which two channels have the same source
_PLANES = 8  # from so many on PyAV (18) looks for the next one where there is none
_PLANAR = {"u8p": "u1", "s16p": "<i2", "s32p": "<i4", "fltp": "<f4", "dblp": "<f8"}


def as_floats(frame: Any) -> npt.NDArray[np.float32]:
    """The samples of a frame of PyAV: float32 in [-1, 1] unless the frame says otherwise, shape (n, channels)."""
    import numpy as np

    channels = frame.layout.nb_channels
    if frame.format.is_planar:
        samples = (frame.to_ndarray() if channels < _PLANES else _many_planes(frame, channels)).T
    else:
        samples = frame.to_ndarray().reshape(frame.samples, -1)
    if samples.dtype == np.uint8:
        samples = samples.astype(np.int16) - 128
        return np.asarray(samples / np.float32(128), np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        return np.asarray(samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min), np.float32)
    return np.asarray(samples, np.float32)


def _many_planes(frame: Any, channels: int) -> npt.NDArray[Any]:
    """As ``frame.to_ndarray()``, where that would read beyond the last plane, and crash."""
    import numpy as np
    from av.audio.plane import AudioPlane

    kind = _PLANAR[frame.format.name]
    planes = (np.frombuffer(memoryview(AudioPlane(frame, n)), kind, frame.samples) for n in range(channels))
    return np.stack(list(planes))


class Downmix:
    """Channels made one, so that what is in any of them is heard, as loud as in the loudest.

    They are added. A channel that is another one inverted is turned over first, or the two would cancel each other.
    """

    def __init__(self, channels: int) -> None:
        import numpy as np

        self._signs = np.ones(channels, np.float32)
        self._energies = np.zeros(channels)
        self._energy = 0.0
        self._peak = 0.0

    def add(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The sum of the channels, before it is brought to its ``level``: (n, channels) to (n,)."""
        import numpy as np

        if block.shape[1] == 1:
            return block[:, 0]
        alike = block.T @ block  # how much any two have in common
        energies = np.maximum(alike.diagonal(), 0)
        self._energies += energies
        alike = alike / np.maximum(np.sqrt(np.outer(energies, energies)), 1e-12)
        for n in range(1, block.shape[1]):
            nearest = int(np.abs(alike[n, :n]).argmax())
            if abs(alike[n, nearest]) > _ALIKE:
                self._signs[n] = self._signs[nearest] * np.sign(alike[n, nearest])
        mixed: npt.NDArray[np.float32] = block @ self._signs
        self._energy += float(mixed @ mixed)
        self._peak = max(self._peak, float(mixed.max(initial=0.0)), -float(mixed.min(initial=0.0)))
        return mixed

    @property
    def level(self) -> float:
        """What the sum is multiplied with to be as loud as the loudest channel, and nowhere beyond 1."""
        if not self._energy:
            return 1.0
        loudest: float = (self._energies.max() / self._energy) ** 0.5
        return min(loudest, 1 / self._peak)


class Fitted:
    """Sound of another rate or number of channels, brought to what the sound before it has, block by block.

    One channel becomes all of them; several become one first, at the level that they have had so far.
    """

    def __init__(self, kind: tuple[int, int], rate: int, channels: int) -> None:
        self._mix = None if kind[1] == channels else Downmix(kind[1])
        self._channels = channels
        self._resampler: Any = None
        if kind[0] != rate:
            from lollms_modalities.media.samples import resampler

            self._resampler = resampler(kind[0], rate, channels)

    def add(self, block: npt.NDArray[np.float32], *, last: bool = False) -> npt.NDArray[np.float32]:
        """What a block of shape (n, channels of its own) becomes: (m, channels)."""
        import numpy as np

        if self._mix is not None:
            mono = self._mix.add(block)
            block = np.repeat((mono * np.float32(self._mix.level))[:, None], self._channels, axis=1)
        if self._resampler is None:
            return block
        made = self._resampler.resample_chunk(np.ascontiguousarray(block), last=last)
        return np.asarray(made, np.float32).reshape(-1, self._channels)


class Made:
    """The sound as it grows. Rate and channels are those that were asked for, or else the first."""

    def __init__(self, shown: str, rate: int | None, mono: bool, max_duration: float | None) -> None:
        self._shown = shown
        self._rate = rate
        self._mono = mono
        self._limit = max_duration
        self._channels = 1 if mono else 0
        self._blocks: list[npt.NDArray[np.float32]] = []
        self._count = 0
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._waiting_count = 0
        self._kind = (0, 0)  # rate and channels of what is coming in
        self._first = 0  # block of this kind
        self._mix = Downmix(1)
        self._resampler: Any = None
        self._fitted: Fitted | None = None  # where all channels are wanted

    def add(self, samples: npt.NDArray[np.float32], rate: int) -> None:
        """Take samples of shape (n, channels)."""
        kind = (rate, samples.shape[1])
        if kind != self._kind:
            self._end_of_kind()
            self._begin(kind)
        self._waiting.append(samples)
        self._waiting_count += len(samples)
        if self._waiting_count >= BLOCK * rate:
            self._take()

    def add_silence(self, seconds: float, rate: int, channels: int) -> None:
        """Take so much silence."""
        import numpy as np

        left = round(seconds * rate)
        while left > 0:
            part = min(left, rate)
            self.add(np.zeros((part, channels), np.float32), rate)
            left -= part

    def ready(self) -> Iterator[npt.NDArray[np.float32]]:
        """The blocks so far, of all channels; they are given away."""
        ready, self._blocks = self._blocks, []
        return iter(ready)

    def finish(self, damage: str) -> None:
        """Take no more; ``damage`` says why there may be nothing at all."""
        self._end_of_kind()
        if self._count and self.rate:
            return
        if damage:
            raise MediaError(
                f"{self._shown} holds no sound that can be decoded: {damage}.", hint="Fetch or record it again."
            )
        raise MediaError(f"{self._shown} has a sound track without sound.", hint="Give a whole recording.")

    def whole(self, damage: str) -> tuple[npt.NDArray[np.float32], int]:
        """All of it; ``damage`` says why there may be nothing."""
        import numpy as np

        self.finish(damage)
        samples = np.concatenate(self._blocks)
        np.clip(samples, -1, 1, out=samples)  # resampled sound can swing a little beyond
        return samples, self.rate

    @property
    def rate(self) -> int:
        """Samples per second; 0 before the first, where none was asked for."""
        return self._rate or 0

    @property
    def channels(self) -> int:
        """How many; 0 before the first sample."""
        return self._channels

    @property
    def duration(self) -> float:
        """Seconds of what is there, given away or not."""
        return self._count / self.rate

    def _begin(self, kind: tuple[int, int]) -> None:
        import av

        self._kind, self._first = kind, len(self._blocks)
        self._rate = self._rate or kind[0]
        self._channels = self._channels or kind[1]
        self._mix = Downmix(kind[1])
        if self._mono and kind[0] != self._rate:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._rate)
        if not self._mono and kind != (self._rate, self._channels):
            self._fitted = Fitted(kind, self._rate, self._channels)

    def _take(self) -> None:
        import numpy as np

        block = np.concatenate(self._waiting)
        self._waiting, self._waiting_count = [], 0
        if self._mono:
            self._keep(self._resampled(self._mix.add(block), self._kind[0])[:, None])
        else:
            self._keep(block if self._fitted is None else self._fitted.add(block))

    def _resampled(self, mono: npt.NDArray[np.float32] | None, rate: int) -> npt.NDArray[np.float32]:
        """What the resampler gives for a block; for None the rest that it holds back."""
        import av
        import numpy as np

        if self._resampler is None:
            return np.zeros(0, np.float32) if mono is None else mono
        frame = None
        if mono is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None, :], format="flt", layout="mono")
            frame.sample_rate = rate
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _keep(self, block: npt.NDArray[np.float32]) -> None:
        self._blocks.append(block)
        self._count += len(block)
        if self._limit is not None and self._count > self._limit * self.rate:
            raise too_long(self._shown, self.duration, self._limit)

    def _end_of_kind(self) -> None:
        """Bring what came since the last change of rate or channels to what all of it has."""
        import numpy as np

        if not self._kind[0]:
            return
        if self._waiting:
            self._take()
        if self._mono:
            self._keep(self._resampled(None, 0)[:, None])
            self._resampler = None
            level = np.float32(self._mix.level)
            if level != 1:
                for n in range(self._first, len(self._blocks)):
                    self._blocks[n] = self._blocks[n] * level
        elif self._fitted is not None:
            self._keep(self._fitted.add(np.zeros((0, self._kind[1]), np.float32), last=True))
            self._fitted = None


class Timeline:
    """Where sound belongs: how much silence goes before it.

    Args:
        origin: the time in the container that is the beginning of the film, in seconds.
        longest: a gap of more seconds is none: another recording begins, which has a clock of its own.
        end: the time in the container at which the film ends, as it says: a gap beyond it is damage; None where it is
            not known.
    """

    # Less is how the formats count, and no gap.
    _SMALL = 0.15

    def __init__(self, origin: float, longest: float, end: float | None = None) -> None:
        self.reached = 0.0
        self._end = end
        self._origin = origin
        self._longest = longest
        self._ahead: float | None = None

    def place(self, time: float | None, length: float) -> float:
        """Seconds of silence before the sound of ``length`` seconds that has this time in the container, or none."""
        gap = 0.0
        if time is not None:
            ahead = time - self._origin - self.reached
            before = 0.0 if self._ahead is None else self._ahead
            beyond = self._end is not None and time > self._end
            if beyond or not -self._SMALL < ahead - before < self._longest:
                self._origin += ahead - before
                ahead = before
            if ahead > self._SMALL:
                gap, ahead = ahead, 0.0
            self._ahead = ahead
        self.reached += gap + length
        return gap


def too_long(shown: str, duration: float, limit: float) -> MediaError:
    return MediaError(
        f"{shown} holds more than {limit:g} s of sound (at least {duration:.0f} s).",
        hint="Cut it into parts, or allow more with max_duration.",
    )


def refuse_no_numbers(samples: npt.NDArray[Any], shown: str, seconds: float, rate: int) -> None:
    """A ``MediaError`` where samples are NaN or infinite: an engine would hear anything in them."""
    import numpy as np

    finite = np.isfinite(samples)
    if finite.all():
        return
    first = seconds + int((~finite).any(axis=1).argmax()) / rate
    raise MediaError(
        f"{shown} holds samples that are no numbers (NaN or infinite), the first at {first:.2f} s.",
        hint="Write it anew: the program that made it divided by zero, or the file is damaged.",
    )
