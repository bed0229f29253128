"""Samples between types and rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lollms_modalities.errors import GenerationError
from lollms_modalities.media.libraries import missing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def to_int16(samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """int16 samples, little endian and contiguous, of float samples in [-1, 1] (clipped) or int16 ones.

    Args:
        samples: shape (n,) or (n, channels).

    Raises:
        GenerationError: another shape or type, or values that are no numbers.
    """
    import numpy as np

    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= 255):
        raise GenerationError(f"Sound has the shape {samples.shape}.", hint="It must be (n,) or (n, channels).")
    if samples.dtype == np.int16:
        return np.ascontiguousarray(samples, dtype="<i2")
    if not np.issubdtype(samples.dtype, np.floating):
        raise GenerationError(f"Sound has the type {samples.dtype}.", hint="It must be float or int16.")
    if not np.isfinite(samples).all():
        raise GenerationError("The engine gave sound with values that are no numbers (NaN or infinite).")
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)  # 32767 is no number of float16: its neighbour 32768 would wrap around
    scaled = np.clip(samples, -1, 1)  # one copy, which the rest is done in
    scaled *= 32768
    np.rint(scaled, out=scaled)
    np.minimum(scaled, 32767, out=scaled)
    return np.ascontiguousarray(scaled.astype("<i2"))


def resampler(from_rate: int, to_rate: int, channels: int) -> Any:
    """soxr's, for float32 of shape (n, channels), a part at a time."""
    try:
        import soxr
    except ImportError as exc:
        raise missing("soxr", exc) from exc
    return soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")


def resample(samples: npt.NDArray[Any], from_rate: int, to_rate: int) -> npt.NDArray[Any]:
    """The same sound at another rate, same type and number of dimensions (soxr, high quality)."""
    if from_rate == to_rate:
        return samples
    try:
        import soxr
    except ImportError as exc:
        raise missing("soxr", exc) from exc
    resampled: npt.NDArray[Any] = soxr.resample(samples, from_rate, to_rate)
    return resampled
