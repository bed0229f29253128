"""The sound of a film: AAC in the same file, as long as the pictures."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from lollms_modalities.calls.call import current_call
from lollms_modalities.errors import GenerationError, MediaWarning
from lollms_modalities.media.aac import LAYOUTS, RATES
from lollms_modalities.media.audio_coders import next_higher
from lollms_modalities.media.samples import resample, to_int16
from lollms_modalities.media.sound import decode_frames

if TYPE_CHECKING:
    from lollms_modalities.media.input import MediaInput

# By the number of channels; of seven AAC knows no way to stand in a room.
_LAYOUTS = {**dict(enumerate(LAYOUTS, 1)), 8: "7.1"}
_TOLERATED = 0.1  # seconds of sound that may be missing, or be too much, without a warning


class FilmSound:
    """Sound that is encoded beside the pictures, as far as these have come.

    Args:
        audio: sound of any format that can be decoded; it is resampled where AAC does not know its rate.
        container: PyAV's, open for writing, with no packet written yet.

    Raises:
        MediaError: what was given is no sound.
        GenerationError: more channels than AAC is given here.
    """

    def __init__(self, audio: MediaInput, container: Any) -> None:
        import av

        samples, rate = decode_frames(audio, max_duration=None)
        if samples.shape[1] not in _LAYOUTS:
            raise GenerationError(
                f"The sound of a film has {samples.shape[1]} channels.",
                hint="It may have 1 to 6, or 8. decode_audio makes one of many.",
            )
        self._rate = next_higher(rate, RATES[::-1])
        samples = samples if self._rate == rate else resample(samples, rate, self._rate)
        self._pcm = to_int16(samples)
        self._av = av
        self._layout = _LAYOUTS[samples.shape[1]]
        self._container = container
        self._stream: Any = container.add_stream("aac", rate=self._rate, layout=self._layout)
        self._stream.bit_rate = samples.shape[1] * min(64000, 6 * self._rate)
        self._at = 0

    def until(self, seconds: float) -> None:
        """Encode what is heard until then."""
        self._feed(round(seconds * self._rate))

    def _feed(self, end: int) -> None:
        import numpy as np

        part = self._pcm[self._at : end]
        if len(part) < end - self._at:
            part = np.concatenate([part, np.zeros((end - self._at - len(part), self._pcm.shape[1]), np.int16)])
        if not len(part):
            return
        frame = self._av.AudioFrame.from_ndarray(
            np.ascontiguousarray(part).reshape(1, -1), format="s16", layout=self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._at
        self._container.mux(self._stream.encode(frame))
        self._at = end

    def finish(self, seconds: float) -> None:
        """Encode the rest, and silence where the pictures go on; say what was cut or added."""
        self.until(seconds)
        self._container.mux(self._stream.encode(None))
        more = round(len(self._pcm) / self._rate - seconds, 3)
        if not more:
            return
        done = "cut" if more > 0 else "padded"
        current_call().record(extra={f"sound_{done}_seconds": abs(more)})
        if abs(more) > _TOLERATED:
            how = f"{abs(more):.2f} s of it were cut" if more > 0 else f"{abs(more):.2f} s of silence follow it"
            warnings.warn(
                f"The sound is {len(self._pcm) / self._rate:.2f} s long, and the film {seconds:.2f} s: {how}.",
                MediaWarning,
                stacklevel=4,
            )
