"""What servers on loopback are given and what they answer."""

from __future__ import annotations

import numpy as np
from lollms_modalities import Audio, Image

KEY = "sesame-key-4711"
WAV = bytes(Audio.from_samples(np.sin(np.arange(8000) / 9), 16000))
PNG = bytes(Image.from_pixels(np.full((16, 24, 3), 90, np.uint8), "png"))
