"""openai's Whisper: its precision, and how long it takes beside the library alone."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpu import card
from gpu.bench import Bench
from gpu.checks.precision import compare
from gpu.checks.subject import Subject
from gpu.findings import Check

_RATE = 16_000
_TOKENS = 48


def _make(folder: Path, **settings: Any) -> Any:
    from lollms_whisper import WhisperSTTBinding

    return WhisperSTTBinding(str(folder / "model.pt"), **settings)


def sound(seconds: float) -> Any:
    """Noise, which a model of random weights takes for speech."""
    import numpy as np
    from lollms_modalities import Audio

    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * _RATE)).astype(np.float32)
    return Audio.from_samples(samples, _RATE)


def _call(binding: Any, seed: int, bench: Bench, **controls: Any) -> str:
    return str(_transcribed(binding, seed, bench, **controls))


def _transcribed(binding: Any, seed: int, bench: Bench, **controls: Any) -> Any:
    # Of some randomness, so that a seed makes a difference.
    how: dict[str, Any] = {"language": "en", "temperature": 1.0, "beam_size": 1, "no_speech_threshold": 1.0, **controls}
    return binding.transcribe_audio(sound(bench.size(20, 2)), seed=seed, **how)


def subject(model: str, seconds: float) -> Subject:
    """Whisper with that model."""
    return Subject(model, _make, _call, lambda binding: _engine(binding).decoder, {"fp16": False}, seconds)


def _engine(binding: Any) -> Any:
    return binding.model.get(Path(binding.settings.model_name))


def correctness(whisper: Subject) -> list[Check]:
    """Of Whisper alone."""
    return [whisper.check("half beside single precision", half), whisper.check("times of words", words)]


def half(whisper: Subject, bench: Bench) -> None:
    """The logits under forced tokens. openai's computes in float16, from weights in single precision."""
    import torch

    with whisper.loaded(bench) as binding:
        model = _engine(binding)
        draw = torch.Generator().manual_seed(0)
        mel = torch.randn(1, model.dims.n_mels, 3000, generator=draw).to(bench.device)
        tokens = torch.randint(model.dims.n_vocab, (1, _TOKENS), generator=draw).to(bench.device)
        half = torch.float16 if bench.on_card else torch.bfloat16
        compare(bench, whisper.model, lambda dtype: model(mel.to(dtype), tokens), half=half)


def words(whisper: Subject, bench: Bench) -> None:
    """Each word has its time. On a card the library aligns them by kernels of its own, and else as on a processor."""
    with whisper.loaded(bench) as binding, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = _transcribed(binding, 1, bench, timestamps="word")
    found = made.words
    assert found, "no word has a time"
    assert all(0 <= word.start <= word.end <= made.duration for word in found), "a word is outside of the sound"
    assert all(one.start <= next.start for one, next in pairwise(found)), "the words are not in their order"
    bench.note(f"{len(found)} words")
    for told in {str(one.message) for one in said if "Triton" in str(one.message)}:
        bench.note(told)


def transcript(whisper: Subject, bench: Bench) -> None:
    """Half a minute by the binding, by the library on the same weights, and in single precision; and the peak."""
    samples = sound(bench.size(30, 3))
    floats = samples.to_numpy()[:, 0]
    how: dict[str, Any] = {"language": "en", "beam_size": 1, "no_speech_threshold": 1.0, "temperature": 0.0}
    with whisper.loaded(bench) as binding:
        model = _engine(binding)

        def library(fp16: bool) -> str:
            asked = {**how, "beam_size": None, "fp16": fp16 and bench.on_card, "condition_on_previous_text": True}
            return str(model.transcribe(floats, **asked)["text"])

        def ours() -> str:
            return str(binding.transcribe_audio(samples, **how))

        assert ours().split() == library(True).split(), "the library alone hears something else"
        alone, naive = (card.seconds(bench.device, partial(library, fp16)) for fp16 in (True, False))
        with bench.peak() as peak:
            taken = card.seconds(bench.device, ours)
    what = f"{whisper.model}: {bench.size(30, 3)} s of sound"
    bench.figure(what, taken, "s", beside="the library alone", other=alone, goal=1.05)
    bench.figure(what, taken, "s", beside="float32", other=naive)
    bench.figure(f"{whisper.model}: peak of the memory", peak.gigabytes, "GB")
