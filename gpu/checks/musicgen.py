"""MusicGen: its precision; how long it takes beside the library alone and single precision; compiled."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gpu import card
from gpu.bench import Bench
from gpu.checks.compiling import compiled, measure
from gpu.checks.precision import compare, half_of
from gpu.checks.subject import Subject
from gpu.findings import Check

PROMPT = "a slow piano, and rain"
_FRAMES_A_SECOND = 50
_TOKENS = 48  # that are forced


def _make(folder: Path, **settings: Any) -> Any:
    from lollms_audiocraft import AudioCraftTTMBinding

    return AudioCraftTTMBinding(str(folder), engine="transformers", **settings)


def _call(binding: Any, seed: int, bench: Bench, **controls: Any) -> Any:
    return binding.generate_music(PROMPT, duration=bench.size(2, 1), seed=seed, **controls)


def subject(model: str, seconds: float) -> Subject:
    """MusicGen with that model."""
    return Subject(model, _make, _call, lambda binding: binding.model._model.decoder, {"dtype": "float32"}, seconds)


def correctness(musicgen: Subject) -> list[Check]:
    """Of MusicGen alone."""
    return [musicgen.check("half beside single precision", half)]


def half(musicgen: Subject, bench: Bench) -> None:
    """The logits under forced tokens."""
    import torch

    with musicgen.loaded(bench, dtype=str(half_of(bench)).removeprefix("torch.")) as binding:
        model, tokenizer = binding.model._model, binding.model._tokenizer
        config = model.config.decoder
        draw = torch.Generator().manual_seed(0)
        codes = torch.randint(config.vocab_size, (config.num_codebooks, _TOKENS), generator=draw).to(bench.device)
        inputs = tokenizer([PROMPT], return_tensors="pt").to(bench.device)
        compare(bench, musicgen.model, lambda dtype: model(**inputs, decoder_input_ids=codes).logits, model)


def piece(musicgen: Subject, bench: Bench) -> None:
    """A piece by the binding, by the library on the same weights, and in single precision: whole, a step, the peak."""
    import torch

    seconds = bench.size(5, 1)
    tokens = seconds * _FRAMES_A_SECOND

    def compose(binding: Any) -> Any:
        return binding.generate_music(PROMPT, duration=seconds, seed=1)

    with musicgen.loaded(bench, **musicgen.whole) as binding:
        _call(binding, 1, bench)
        naive = card.seconds(bench.device, lambda: compose(binding))
    with musicgen.loaded(bench) as binding:
        model, tokenizer = binding.model._model, binding.model._tokenizer

        def library() -> None:
            torch.manual_seed(1)
            inputs = tokenizer([PROMPT], return_tensors="pt").to(bench.device)
            model.generate(**inputs, do_sample=True, top_k=250, guidance_scale=3.0, max_new_tokens=tokens + 3)

        _call(binding, 1, bench)
        alone = card.seconds(bench.device, library)
        with bench.peak() as peak:
            ours = card.seconds(bench.device, lambda: compose(binding))
    what = f"{musicgen.model}: {seconds} s of music"
    bench.figure(what, ours, "s", beside="the library alone", other=alone, goal=1.05)
    bench.figure(what, ours, "s", beside="float32", other=naive, goal=0.5 if bench.on_card else None)
    bench.figure(f"{musicgen.model}: a step, all else shared out among them", ours / tokens * 1e3, "ms")
    bench.figure(f"{musicgen.model}: peak of the memory", peak.gigabytes, "GB")


def batch(musicgen: Subject, bench: Bench) -> None:
    """What the library takes for eight pieces at once. The binding makes one at a time: this is what it could gain."""
    seconds = bench.size(4, 1)
    with musicgen.loaded(bench) as binding:
        model, tokenizer = binding.model._model, binding.model._tokenizer

        def library(count: int) -> None:
            inputs = tokenizer([PROMPT] * count, return_tensors="pt").to(bench.device)
            model.generate(**inputs, do_sample=True, guidance_scale=3.0, max_new_tokens=seconds * _FRAMES_A_SECOND + 3)

        library(1)
        one, eight = (card.seconds(bench.device, partial(library, n)) for n in (1, 8))
    what = f"{musicgen.model}: a piece of {seconds} s, the library alone, eight at once"
    bench.figure(what, eight / 8, "s", beside="one by one", other=one, goal=0.5 if bench.on_card else None)


def compiling(musicgen: Subject, bench: Bench) -> None:
    """What a compiled decoder would bring. Its cache grows: one of fixed size the library leaves unused."""
    seconds = bench.size(4, 1)
    with musicgen.loaded(bench) as binding:
        model, tokenizer = binding.model._model, binding.model._tokenizer

        def compose() -> None:
            inputs = tokenizer([PROMPT], return_tensors="pt").to(bench.device)
            model.generate(**inputs, do_sample=True, guidance_scale=3.0, max_new_tokens=seconds * _FRAMES_A_SECOND + 3)

        def change() -> None:
            model.decoder.forward = compiled(model.decoder.forward, bench, dynamic=True)

        measure(bench, f"{musicgen.model}: {seconds} s of music, the library alone", compose, change)
