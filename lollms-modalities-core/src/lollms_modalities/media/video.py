"""Video as results have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from lollms_modalities.errors import OptionError
from lollms_modalities.media.encoded import told
from lollms_modalities.media.formats import VIDEO_FORMATS, check_format
from lollms_modalities.media.media_file import MediaFile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.media.audio import Audio
    from lollms_modalities.media.input import MediaInput

_LAST_FRAME = 0.15  # seconds: 1024 samples of AAC at its lowest rate


class Video(MediaFile):
    """A video: the bytes of a video file, MP4 (H.264) unless another format was asked for.

    Args:
        data: the file's bytes.
        path: the file that holds the video, where ``data`` is empty.
    """

    formats = VIDEO_FORMATS
    _noun = "Video"
    _facts: tuple[int, int, float, float, int] | None = None
    _sound: tuple[float | None, ...] = ()

    @classmethod
    def from_frames(
        cls, frames: Iterable[npt.NDArray[np.uint8]], fps: float, *, audio: MediaInput | None = None
    ) -> Self:
        """MP4 (H.264) from RGB frames: uint8 of shape (height, width, 3), all alike, sizes even.

        Args:
            frames: of the film, each 1 / ``fps`` seconds long.
            fps: frames per second.
            audio: its sound (AAC in the file). It becomes as long as the film: it is cut, or silence follows. The
                provenance tells (``sound_cut_seconds``, ``sound_padded_seconds``), and beyond a tenth of a second a
                ``MediaWarning``.
        """
        from lollms_modalities.media.video_encoder import encode_video

        self = cls(encode_video(frames, fps, audio=audio))
        self._format = "mp4"
        return self

    @property
    def width(self) -> int:
        """Pixels."""
        return self._probe()[0]

    @property
    def height(self) -> int:
        """Pixels."""
        return self._probe()[1]

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._probe()[2]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self._probe()[3]

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._probe()[4]

    @property
    def has_audio(self) -> bool:
        """Whether it has sound."""
        return self._sound_end() is not None

    @property
    def audio(self) -> Audio | None:
        """Its sound, decoded as WAV; None where it has none."""
        end = self._sound_end()
        if end is None:
            return None
        from lollms_modalities.media.audio import Audio
        from lollms_modalities.media.sound import decode_frames

        samples, rate = decode_frames(self, max_duration=None)
        if end and 0 < len(samples) / rate - end < _LAST_FRAME:  # with which a coder fills its last frame
            samples = samples[: round(end * rate)]
        made = Audio.from_samples(samples, rate)
        made._provenance = self._provenance
        return told(made, source=self)

    def _sound_end(self) -> float | None:
        if self._sound == ():
            from lollms_modalities.media.probing import sound_end

            self._sound = (sound_end(self),)
        return self._sound[0]

    def _probe(self) -> tuple[int, int, float, float, int]:
        if self._facts is None:
            from lollms_modalities.media.probing import probe_video

            self._facts = probe_video(self)
        return self._facts

    def convert(self, output_format: str) -> Self:
        """The video itself; another format than its own is refused with ``OptionError``."""
        wanted = check_format(output_format, type(self))
        return self if wanted == self.format else self._converted(wanted)

    def _converted(self, wanted: str) -> Self:
        raise OptionError(
            f"A video in {self.format or 'an unknown format'} cannot be made {wanted} here.",
            hint=f"Save it with the suffix .{self.format or 'mp4'} and convert it with ffmpeg.",
        )

    def _told(self) -> str:
        width, height, fps, duration, _ = self._probe()
        sound = " with sound" if self.has_audio else ""
        return f"{width}x{height}, {duration:.2f} s at {fps:g} fps{sound}"

    def _repr_html_(self) -> str:
        return f'<video controls src="{self._data_url()}"></video>'
