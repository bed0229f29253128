"""What the two engines have in common, and music of any length from either, window by window."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lollms_modalities import OptionError, report_progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

_SEAM = 0.01  # seconds in which one window fades into the next
_OVERLAP = 0.4  # of a window: 12 s of 30


class Sampling(NamedTuple):
    """How the next codes are chosen: the options of these names."""

    temperature: float
    top_k: int
    top_p: float
    cfg_coef: float


class Window(NamedTuple):
    """What an engine makes at once.

    Attributes:
        samples: float32 in [-1, 1], shape (n, channels).
        codes: the codec's, from which the samples were made: shape (codebooks, frames).
    """

    samples: npt.NDArray[np.float32]
    codes: torch.Tensor


class Engine(Protocol):
    """A loaded MusicGen.

    Attributes:
        library: the distribution that does the work.
        device: where it does.
        sample_rate, channels: of its sound.
        frame_rate: codes a second in each codebook; the sample rate is a multiple of it.
        window: frames that it makes at once, at most.
    """

    library: str
    device: torch.device
    sample_rate: int
    channels: int
    frame_rate: int
    window: int

    def encode(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        """Codes of sound of a whole number of frames, shape (n, channels)."""

    def generate(
        self, prompt: str, heard: torch.Tensor | None, frames: int, sampling: Sampling, report: Callable[[int], object]
    ) -> Window:
        """Make sound.

        Args:
            prompt: what it should be like.
            heard: codes with which it begins, or None.
            frames: of the whole, ``heard`` among them.
            report: called after each step with the number of new frames. What it raises ends the call.
        """

    def free(self) -> None:
        """Let go of the memory."""


def compose(
    engine: Engine,
    prompt: str,
    duration: float,
    sampling: Sampling,
    *,
    begun: npt.NDArray[np.float32] | None = None,
    overlap: float | None = None,
) -> npt.NDArray[np.float32]:
    """Sound of that duration, shape (n, channels): as many windows as it takes, each of which hears the last one's end.

    Args:
        begun: sound to go on from, in the engine's rate and channels; the result begins with it.
        overlap: seconds that a window hears of what is there; 0.4 of the window's length where None.

    Raises:
        OptionError: an overlap as long as the window; sound that leaves nothing to add.
    """
    import numpy as np

    hop = engine.sample_rate // engine.frame_rate
    hears = _overlap_frames(engine, overlap)
    sound = np.zeros((max(1, round(duration * engine.sample_rate)), engine.channels), np.float32)
    done, start, heard = 0, 0, None
    if begun is not None:
        done = start = len(begun)
        heard = _heard(engine, begun, hears, hop, len(sound))
        sound[:done] = begun
    total = math.ceil((len(sound) - start) / hop)
    report_progress(0, total / engine.frame_rate, unit="s")
    while done < len(sound):
        known = 0 if heard is None else heard.shape[1]
        frames = min(engine.window, known + math.ceil((len(sound) - done) / hop))
        made = (done - start) // hop
        report = _reporter(made, min(made + frames - known, total), total, engine.frame_rate)
        window = engine.generate(prompt, heard, frames, sampling, report)
        _lay(sound, window.samples, done, known * hop, engine.sample_rate, given=done == start)
        done += (frames - known) * hop
        heard = window.codes[:, -hears:]
    report_progress(total / engine.frame_rate, total / engine.frame_rate, unit="s")
    return sound


def _overlap_frames(engine: Engine, overlap: float | None) -> int:
    frames = round(_OVERLAP * engine.window if overlap is None else overlap * engine.frame_rate)
    if frames < engine.window:
        return max(1, frames)
    raise OptionError(
        f"overlap={overlap} leaves nothing new in a window of {engine.window / engine.frame_rate:g} s.",
        hint="Ask for less.",
        names=["overlap"],
    )


def _heard(engine: Engine, begun: npt.NDArray[np.float32], hears: int, hop: int, length: int) -> torch.Tensor:
    """Codes of the end of the sound that was given."""
    seconds = len(begun) / engine.sample_rate
    if len(begun) >= length:
        raise OptionError(
            f"The sound to continue lasts {seconds:.2f} s, the result is to last {length / engine.sample_rate:.2f} s.",
            hint="duration counts the given sound too: ask for more, or give less of it.",
            names=["duration", "audio"],
        )
    frames = min(hears, len(begun) // hop)
    if not frames:
        raise OptionError(f"The sound to continue lasts {seconds:.3f} s only.", names=["audio"])
    return engine.encode(begun[-frames * hop :])


def _reporter(made: int, end: int, total: int, frame_rate: int) -> Callable[[int], object]:
    def report(new: int) -> None:
        # The codebooks that lag behind take some steps more than there are frames.
        report_progress(min(made + max(0, new), end) / frame_rate, total / frame_rate, unit="s")

    return report


def _lay(sound: Any, window: Any, done: int, known: int, rate: int, *, given: bool) -> None:
    """Put a window of sound behind what is there, of which it repeats the last ``known`` samples.

    The change from one to the other is in the middle of what both have, since the codec is not sure of its edges; a
    sound that was given stays as it is, but for the seam at its end.
    """
    import numpy as np

    end = min(len(sound), done - known + len(window))
    seam = min(known, round(_SEAM * rate))
    cut = done if given else done - (known - seam) // 2
    if seam:
        fade = np.linspace(0, 1, seam, dtype=np.float32)[:, None]
        old = sound[cut - seam : cut]
        old += (window[cut - seam - done + known : cut - done + known] - old) * fade
    sound[cut:end] = window[cut - done + known : end - done + known]
