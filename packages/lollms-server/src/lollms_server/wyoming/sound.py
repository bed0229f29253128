"""Sound as events bring it: checked, and made 16-bit."""

from __future__ import annotations

from lollms_modalities import AudioChunk

from lollms_server.wyoming.events import Event

_RATES, _CHANNELS = (4000, 192_000), 8


class Sound:
    """That of one transcription. A sample may be in two chunks: what Home Assistant is sent over HTTP it passes on in
    pieces of any size.
    """

    def __init__(self) -> None:
        self._kind = (0, 0, 0)
        self._rest = b""  # of a sample

    def chunk(self, event: Event) -> AudioChunk:
        """The sound of an ``audio-chunk``, with what was left of the one before; of whole samples.

        Raises:
            Refused: it does not say of what kind it is, or is of one that is not known.
        """
        rate, channels = event.number("rate", *_RATES), event.number("channels", 1, _CHANNELS)
        width = event.number("width", 1, 4)
        kind = rate, channels, width
        pcm = (self._rest if kind == self._kind else b"") + event.payload
        whole = len(pcm) - len(pcm) % (width * channels)
        self._kind, self._rest = kind, pcm[whole:]
        pcm = pcm[:whole]
        return AudioChunk(pcm if width == 2 else _as_int16(pcm, width), rate, channels)


def _as_int16(pcm: bytes, width: int) -> bytes:
    """Signed samples of 1, 3 or 4 bytes: their two upper ones."""
    import numpy as np

    if width == 1:
        return (np.frombuffer(pcm, np.int8).astype("<i2") << 8).tobytes()
    return np.frombuffer(pcm, np.uint8).reshape(-1, width)[:, -2:].tobytes()
