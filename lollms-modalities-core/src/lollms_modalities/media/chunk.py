"""A part of a stream of sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from lollms_modalities.errors import MediaError
from lollms_modalities.media.input import open_media
from lollms_modalities.media.wav import read_wav

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.said import Word


@dataclass(frozen=True)
class AudioChunk:
    """A part of a stream of sound.

    Attributes:
        pcm: int16 samples, little endian, interleaved where there are several channels.
        sample_rate: samples per second and channel.
        channels: how many.
        text: what is spoken in it; "" where that is not known.
        words: those that begin in it, where they were asked for; their times count from the beginning of this part.
    """

    pcm: bytes
    sample_rate: int
    channels: int = 1
    text: str = ""
    words: tuple[Word, ...] = ()

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """int16, shape (n,), or (n, channels) where there are several; a view, not a copy."""
        import numpy as np

        flat = np.frombuffer(self.pcm, dtype="<i2")
        return flat if self.channels == 1 else flat.reshape(-1, self.channels)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / (2 * self.channels * self.sample_rate)

    @classmethod
    def from_samples(
        cls, samples: npt.NDArray[Any], sample_rate: int, text: str = "", words: tuple[Word, ...] = ()
    ) -> Self:
        """From float samples in [-1, 1] (clipped) or int16, of shape (n,) or (n, channels)."""
        from lollms_modalities.media.samples import to_int16

        fixed = to_int16(samples)
        return cls(fixed.tobytes(), sample_rate, 1 if fixed.ndim == 1 else fixed.shape[1], text, words)

    @classmethod
    def from_audio(cls, audio: bytes, text: str = "") -> Self:
        """The whole of an ``Audio``, or of other bytes of a sound file, as one chunk."""
        words: tuple[Word, ...] = getattr(audio, "words", ())
        with open_media(audio) as file:
            wav = read_wav(file)
            if wav is not None and wav.bits == 16 and wav.pcm and not wav.missing:
                file.seek(wav.start)
                return cls(file.read(wav.size), wav.sample_rate, wav.channels, text, words)
        from lollms_modalities.media.sound import decode_frames

        samples, rate = decode_frames(audio, max_duration=None)
        return cls.from_samples(samples[:, 0] if samples.shape[1] == 1 else samples, rate, text, words)


def other_kind(chunk: AudioChunk, sample_rate: int, channels: int) -> MediaError:
    return MediaError(
        f"A chunk has {chunk.sample_rate} Hz and {chunk.channels} channels, the first had {sample_rate} Hz and "
        f"{channels}.",
        hint="All parts of a stream have one rate and one number of channels.",
    )
