"""Sound as events bring it: checked, and made 16-bit."""

from __future__ import annotations

from lollms_modalities import AudioChunk

from lollms_server.web.errors import Refused
from lollms_server.wyoming.events import Event

_RATES, _CHANNELS = (4000, 192_000), 8


def chunk_of(event: Event) -> AudioChunk:
    """The sound of an ``audio-chunk``.

    Raises:
        Refused: it does not say of what kind it is, or is of one that is not known.
    """
    rate, channels = event.number("rate", *_RATES), event.number("channels", 1, _CHANNELS)
    width = event.number("width", 1, 4)
    if len(event.payload) % (width * channels):
        raise Refused(
            f"A chunk of {len(event.payload)} bytes holds no whole samples of {width} bytes and {channels} channels.",
            code="invalid_media",
        )
    return AudioChunk(event.payload if width == 2 else _as_int16(event.payload, width), rate, channels)


def _as_int16(pcm: bytes, width: int) -> bytes:
    """Signed samples of 1, 3 or 4 bytes: their two upper ones."""
    import numpy as np

    if width == 1:
        return (np.frombuffer(pcm, np.int8).astype("<i2") << 8).tobytes()
    return np.frombuffer(pcm, np.uint8).reshape(-1, width)[:, -2:].tobytes()
