"""AAC in ADTS frames: what can be sent, and listened to from anywhere on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lollms_modalities.errors import GenerationError
from lollms_modalities.media.audio_coders import Sink, next_higher, resampler, words_of
from lollms_modalities.media.libraries import import_av

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# By their number in a header.
RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1")


class AacCoder:
    """AAC-LC, as FFmpeg's own encoder makes it, each frame with the ADTS header of ISO/IEC 13818-7, 6.2."""

    def __init__(self, sink: Sink, rate: int, channels: int) -> None:
        self._sink = sink
        self._channels = channels
        self._av = import_av()
        self.rate = next_higher(rate, RATES[::-1])
        self._resampler = resampler(rate, self.rate, channels) if self.rate != rate else None
        self._at = 0
        if channels > len(LAYOUTS):
            raise self._refusal(f"it has at most {len(LAYOUTS)} channels here")
        self._layout = LAYOUTS[channels - 1]
        self._codec = self._av.CodecContext.create("aac", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = self.rate, self._layout, "fltp"
        # 64 kbit/s a channel, and at most the 6144 bits a frame of 1024 samples that the standard allows.
        self._codec.bit_rate = channels * min(64000, 6 * self.rate)
        try:
            self._codec.open()
        except (self._av.error.FFmpegError, ValueError) as exc:
            raise self._refusal(words_of(exc)) from exc

    def write(self, pcm: memoryview) -> None:
        import numpy as np

        samples = np.frombuffer(pcm, "<i2").reshape(-1, self._channels)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        if len(samples):
            self._encode(samples)

    def _encode(self, samples: npt.NDArray[np.int16] | None) -> None:
        frame = None
        if samples is not None:
            flat = samples.reshape(1, -1)
            frame = self._av.AudioFrame.from_ndarray(flat, format="s16", layout=self._layout)
            frame.sample_rate, frame.pts = self.rate, self._at
            self._at += len(samples)
        try:
            packets = self._codec.encode(frame)
        except self._av.error.FFmpegError as exc:
            raise self._refusal(words_of(exc)) from exc
        for packet in packets:
            self._sink.put(self._header(packet.size) + bytes(packet))

    def _header(self, size: int) -> bytes:
        """Of a frame of ``size`` bytes: MPEG-4, no checksum, the profile LC, one block, a buffer that is not told."""
        fixed = 0xFFF1 << 12 | 1 << 10 | RATES.index(self.rate) << 6 | self._channels << 2
        return (fixed << 28 | (size + 7) << 13 | 0x7FF << 2).to_bytes(7, "big")

    def finish(self) -> None:
        import numpy as np

        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros((0, self._channels), np.int16), last=True)
            self.write(rest.data.cast("B") if len(rest) else memoryview(b""))
        if self._at:
            self._encode(None)

    def abort(self) -> None:
        self._sink.error = self._sink.error or GenerationError("The encoder was aborted.")

    def _refusal(self, reason: str) -> GenerationError:
        return GenerationError(
            f"{self._channels} channels at {self.rate} Hz cannot be written as aac: {reason}.",
            hint="Ask for wav or flac.",
        )
