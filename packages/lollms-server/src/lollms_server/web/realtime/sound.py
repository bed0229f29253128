"""Sound as a session's client sends it, made what turns are found in and models are given: 16 kHz, 16 bits, mono."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lollms_modalities import AudioChunk

from lollms_server.web.errors import Refused
from lollms_server.web.realtime.setting import G711, Format
from lollms_server.web.sound import Resampled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RATE = 16000


class Sound:
    """Sound of one format, as it comes. Much of it at once is not for the event loop.

    Attributes:
        seconds: that came so far.
    """

    def __init__(self, kind: Format) -> None:
        self.seconds = 0.0
        self._kind = kind
        self._rest = b""  # half a sample
        self._resampled = Resampled(AudioChunk(b"", kind.samples), RATE, mono=True)

    def feed(self, said: str) -> bytes:
        """What becomes of base64, as far as that can be told yet.

        Raises:
            Refused: it is none.
        """
        try:
            data = base64.b64decode(said, validate=True)
        except (binascii.Error, ValueError):
            raise Refused("'audio' is no base64.", code="invalid_value", param="audio") from None
        if self._kind.type in G711:
            data = expanded(data, self._kind.type == "audio/pcmu")
        else:
            data = self._rest + data
            whole = len(data) & ~1
            data, self._rest = data[:whole], data[whole:]
        if not data:
            return b""
        self.seconds += len(data) / 2 / self._kind.samples
        return self._resampled.feed(AudioChunk(data, self._kind.samples))

    def finish(self) -> bytes:
        """What was held back."""
        return self._resampled.finish()


def expanded(data: bytes, ulaw: bool) -> bytes:
    """G.711 as 16-bit samples."""
    import numpy as np

    samples: npt.NDArray[Any] = _table(ulaw)[np.frombuffer(data, np.uint8)]
    return samples.tobytes()


@lru_cache
def _table(ulaw: bool) -> npt.NDArray[np.int16]:
    """The value of each of 256 bytes, as ITU-T G.711 has it: a sign, three bits of the segment, four of the step."""
    import numpy as np

    byte = np.arange(256) ^ (0xFF if ulaw else 0x55)
    segment, step = (byte >> 4) & 7, byte & 15
    if ulaw:
        value = (((step << 3) + 132) << segment) - 132
        return np.where(byte & 128, -value, value).astype("<i2")
    value = np.where(segment, ((step << 4) + 264) << np.maximum(segment - 1, 0), (step << 4) + 8)
    return np.where(byte & 128, value, -value).astype("<i2")
