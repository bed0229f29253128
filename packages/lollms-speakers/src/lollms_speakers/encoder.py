"""A voice as a vector: the GE2E speaker encoder (https://arxiv.org/abs/1710.10467) with Resemblyzer's weights.

It hears mel spectrograms of 25 ms every 10 ms, 40 bands, and was trained on 1.6 s of speech at a time. Its vectors have
256 numbers, none below zero, and length 1; the cosine of two is their scalar product.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lollms_speakers.networks import run

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lollms_speakers.windows import Window

RATE = 16000
HOP = 160  # samples from one spectrum to the next
SIZE = 256  # numbers of a vector
_WINDOW = 400  # samples of one spectrum
_BANDS = 40
_LOUDNESS = 10 ** (-30 / 20)  # root mean square to which the training raised quieter speech
_SILENCE = 1e-7
_FEWEST = 20  # spectra
_STEP = 10  # spectra; windows of nearly the same length are heard together
_BATCH = 32


def embed(sound: npt.NDArray[np.float32], windows: Sequence[Window]) -> npt.NDArray[np.float32]:
    """The vectors of windows of a recording, shape (len(windows), 256).

    Args:
        sound: 16 kHz, mono, shape (n,).
        windows: in seconds; each is heard around its middle, cut to a whole number of 0.1 s.
    """
    import numpy as np

    vectors = np.zeros((len(windows), SIZE), np.float32)
    of_length: dict[int, list[int]] = {}
    for n, window in enumerate(windows):
        frames = max(_FEWEST, round((window.end - window.start) * RATE / HOP) // _STEP * _STEP)
        of_length.setdefault(frames, []).append(n)
    for frames, numbers in of_length.items():
        for first in range(0, len(numbers), _BATCH):
            batch = numbers[first : first + _BATCH]
            mels = mel(np.stack([_cut(sound, windows[n], frames * HOP) for n in batch]))
            (vectors[batch],) = run("speaker_encoder.onnx", mels=mels[:, :frames])
    return vectors


def _cut(sound: npt.NDArray[np.float32], window: Window, length: int) -> npt.NDArray[np.float32]:
    """So many samples around the window's middle, as loud as the training had them."""
    import numpy as np

    start = round((window.start + window.end) / 2 * RATE) - length // 2
    start = max(0, min(start, len(sound) - length))
    part = sound[start : start + length]
    if len(part) < length:
        part = np.pad(part, (0, length - len(part)))
    loudness = float(np.sqrt(np.mean(np.square(part, dtype=np.float64))))
    return part * np.float32(_LOUDNESS / loudness) if _SILENCE < loudness < _LOUDNESS else part


def mel(sounds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The power in 40 mel bands every 10 ms, shape (n, frames, 40), of n sounds; each is zero before and after."""
    import numpy as np

    padded = np.pad(sounds, ((0, 0), (_WINDOW // 2, _WINDOW // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=1)[:, ::HOP]
    window, bands = _filters()
    spectra = np.fft.rfft(frames * window, axis=2)
    power = (spectra.real**2 + spectra.imag**2).astype(np.float32)
    found: npt.NDArray[np.float32] = (power.reshape(-1, power.shape[2]) @ bands).reshape(*power.shape[:2], _BANDS)
    return found


@functools.cache
def _filters() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A periodic Hann window, and triangles of equal area on Slaney's mel scale, shape (201, 40), 0 to 8 kHz.

    The scale is that of Slaney's Auditory Toolbox (1998): linear to 1 kHz, logarithmic above.
    """
    import numpy as np

    linear, logarithmic = 3 / 200, 27 / np.log(6.4)  # mels for each hertz, and for each factor e above 1 kHz
    top = 15 + np.log(RATE / 2 / 1000) * logarithmic
    mels = np.linspace(0, top, _BANDS + 2)
    edges = np.where(mels < 15, mels / linear, 1000 * np.exp((mels - 15) / logarithmic))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)[:, None]
    triangles = np.maximum(0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    return hann.astype(np.float32), (triangles * 2 / (high - low)).astype(np.float32)
