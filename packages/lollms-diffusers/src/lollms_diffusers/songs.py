"""Given music, of which a part is made anew or to which more is added: how it goes in, how it stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lollms_modalities import MediaInput, OptionError
from lollms_modalities.kit import decode_frames, resample

from lollms_diffusers import engine as engines

if TYPE_CHECKING:
    import numpy.typing as npt

_FADE = 0.02  # seconds over which one sound becomes the other: no click, and no beat is lost
_SILENT = 1e-4
_SHORTEST = 0.1  # seconds in which a model can hear something


class Given(NamedTuple):
    """Music that was given, and which part of it is to be made.

    Attributes:
        samples: as the model hears it: float32, shape (n, channels), with silence where there is nothing yet.
        begin, end: the part, in samples.
        rate: samples a second.
    """

    samples: npt.NDArray[np.float32]
    begin: int
    end: int
    rate: int

    def arguments(self, pipe: Any) -> dict[str, Any]:
        """As ACE-Step's pipeline takes it; up to a whole number of latents, or it would give back less than it got."""
        import torch

        hop = round(self.rate / pipe.latents_per_second)
        heard = np.pad(self.samples, ((0, -len(self.samples) % hop), (0, 0)))
        return {
            "task_type": "repaint",
            "audio_duration": len(heard) / self.rate,
            "src_audio": torch.from_numpy(np.ascontiguousarray(heard.T)),
            "repainting_start": self.begin / self.rate,
            "repainting_end": self.end / self.rate,
        }

    def with_part_of(self, made: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The given music with the part that was made; what is around it is as it was given, to the sample.

        A model gives all of it back through its autoencoder, and at a loudness of its own: the part is brought to that
        of the music around it, and comes and goes inside its bounds.
        """
        begin, end = self.begin, self.end
        made = made[: len(self.samples)]
        wanted, heard = (np.concatenate([sound[:begin], sound[end:]]) for sound in (self.samples, made))
        part = made[begin:end]
        part = part * min(_loudness(wanted) / _loudness(heard), 1 / max(1e-6, float(np.abs(part).max())))
        fade = min(round(_FADE * self.rate), len(part) // 2)
        weight = np.ones((len(part), 1), np.float32)
        rising = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)[:, None]
        if begin > 0:
            weight[:fade] = rising
        if end < len(self.samples):
            weight[len(part) - fade :] = rising[::-1]
        whole = self.samples.copy()
        whole[begin:end] = weight * part + (1 - weight) * whole[begin:end]
        return whole


def given(
    pipe: Any, audio: MediaInput, start: float | None, end: float | None, *, length: float, longest: float, rate: int
) -> Given:
    """Music to be changed from ``start`` to ``end``, or to go on until it lasts ``length`` where both are left out.

    Args:
        length, longest: seconds of the result, and that the given music may last.

    Raises:
        OptionError: the pipeline hears no music, or there is no such part.
    """
    if "repainting_start" not in engines.parameters(pipe):
        raise OptionError(
            f"option 'audio': {type(pipe).__name__} takes no music.",
            hint="Leave it out, or load a model that does, such as ACE-Step's.",
            names=["audio"],
        )
    samples = _as_heard(audio, rate, longest)
    seconds = len(samples) / rate
    if seconds < _SHORTEST:
        raise OptionError(
            f"The given music lasts {seconds:.3f} s only.", hint=f"Give {_SHORTEST} s at least.", names=["audio"]
        )
    if start is None and end is None:
        return _to_go_on(samples, length, rate)
    begin, stop = round((start or 0) * rate), len(samples) if end is None else round(end * rate)
    if not begin < stop <= len(samples):
        raise OptionError(
            f"The given music lasts {seconds:.2f} s, which has no part from {start or 0:g} to {stop / rate:g} s.",
            hint="Give seconds of the music, the end after the start.",
            names=["start", "end"],
        )
    return Given(samples, begin, stop, rate)


def _to_go_on(samples: npt.NDArray[np.float32], length: float, rate: int) -> Given:
    count = round(length * rate)
    if count <= len(samples):
        raise OptionError(
            f"The music to go on from lasts {len(samples) / rate:.2f} s, the result is to last {length:.2f} s.",
            hint="duration counts the given music too: ask for more, or give start and end to change a part of it.",
            names=["duration", "audio"],
        )
    silence = np.zeros((count - len(samples), samples.shape[1]), np.float32)
    return Given(np.concatenate([samples, silence]), len(samples), count, rate)


def _as_heard(audio: MediaInput, rate: int, longest: float) -> npt.NDArray[np.float32]:
    """In stereo, as ACE-Step's autoencoder has it."""
    samples, own = decode_frames(audio, max_duration=longest)
    if samples.shape[1] != 2:
        samples = np.repeat(samples.mean(axis=1, keepdims=True), 2, axis=1)
    return np.ascontiguousarray(resample(samples, own, rate), np.float32)


def _loudness(sound: npt.NDArray[np.float32]) -> float:
    """Root of the mean square; 1 of what cannot be compared, since it is silent or nothing."""
    loudness = float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0
    return loudness if loudness > _SILENT else 1.0
