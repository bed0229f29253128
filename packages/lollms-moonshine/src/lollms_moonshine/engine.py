"""A Moonshine model in memory, and the sound cut into what it is given at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lollms_modalities import ModelCache, ModelNotFoundError, Segment

from lollms_moonshine.models import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from moonshine_voice.transcriber import Transcriber

RATE = 16000
_MOST = 30.0  # seconds that are heard at once: a call can stop between two such pieces
_LOOKED_AT = 10.0  # seconds at their end, of which the quietest moment parts them
_MOMENT = 0.1  # seconds
_SHORTEST = 0.1  # seconds in which nobody has said a word
_SETTLING = 1.0  # seconds of silence after which the detector is as it was at first; half of one is enough


def load(model: Model) -> Transcriber:
    """Load a model from its folder."""
    from moonshine_voice.errors import MoonshineError
    from moonshine_voice.moonshine_api import string_to_model_arch
    from moonshine_voice.transcriber import Transcriber

    try:
        return Transcriber(
            str(model.path), string_to_model_arch(model.architecture), options={"return_audio_data": "false"}
        )
    except (MoonshineError, OSError) as exc:
        raise ModelNotFoundError(
            f"{str(model.path)!r} cannot be loaded as a model {model.architecture}: {exc}.",
            hint="Fetch it again: lollms pull stt:moonshine.",
        ) from exc


def loaded_models() -> ModelCache[Model, Transcriber]:
    """The model that one binding has in memory."""
    return ModelCache(load, key=("moonshine",), free=lambda model: model.close())


def hear(engine: Transcriber, samples: npt.NDArray[np.float32], language: str) -> Iterator[Segment]:
    """What is said in some sound, line by line; times from its beginning.

    Args:
        engine: the model, which nobody else uses meanwhile.
        samples: mono, 16 kHz.
        language: of the model.
    """
    if len(samples) < _SHORTEST * RATE:
        return
    # Its detector of speech goes on from the sound before: where that ended in speech, silence would begin with a word.
    engine.transcribe_without_streaming([0.0] * round(_SETTLING * RATE), RATE)
    heard = engine.transcribe_without_streaming(samples, RATE)
    ended = 0.0
    for line in heard.lines:
        if text := line.text.strip():
            # A line begins a little before its speech, maybe in the one before.
            start = max(ended, float(line.start_time))
            ended = max(start, min(float(line.start_time) + float(line.duration), len(samples) / RATE))
            yield Segment(text, start, ended, language=language or None)


def parts(samples: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Where the sound is cut: at its quietest moments, so that no part is longer than half a minute."""
    import numpy as np

    most, looked_at, moment = (round(seconds * RATE) for seconds in (_MOST, _LOOKED_AT, _MOMENT))
    start = 0
    while len(samples) - start > most:
        end = samples[start + most - looked_at : start + most].reshape(-1, moment)
        quietest = int(np.argmin((end**2).sum(axis=1)))
        cut = start + most - looked_at + quietest * moment + moment // 2
        yield start, cut
        start = cut
    if start < len(samples):
        yield start, len(samples)
