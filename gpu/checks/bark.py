"""Bark: its precision, attention and offloading; and how long it takes beside the library alone and the naive way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lollms_modalities import AudioChunk, BindingDependencyError

from gpu import card
from gpu.bench import Bench
from gpu.checks.compiling import compiled, measure
from gpu.checks.precision import compare, half_of
from gpu.checks.subject import Subject, refusal
from gpu.findings import Check
from gpu.models.sounds import SEMANTIC_TOKENS, TINY_TOKENS, VOICE

SENTENCE = "The canoe slid on the planks."
_TOKENS = 64  # that are forced on each stage
_A_SECOND = 49.9  # semantic tokens


def _make(folder: Path, **settings: Any) -> Any:
    from lollms_bark import BarkTTSBinding

    return BarkTTSBinding(str(folder), default_voice=VOICE, **settings)


def _call(binding: Any, seed: int, bench: Bench, **controls: Any) -> Any:
    return binding.generate_audio(SENTENCE, seed=seed, **controls)


def subject(model: str, seconds: float) -> Subject:
    """Bark with that model."""
    return Subject(model, _make, _call, lambda binding: binding.model._model.semantic, {"dtype": "float32"}, seconds)


def text(sentences: int) -> str:
    """Sentences of one length."""
    return " ".join(f"Sentence {n:02} of a long text." for n in range(sentences))


# --- what is correct ------------------------------------------------------------------------------------------------


def correctness(bark: Subject) -> list[Check]:
    """Of Bark alone."""
    return [
        bark.check("half beside single precision", half, loads=2),
        bark.check("attention", attention, loads=2),
        bark.check("offload", offload, loads=2),
    ]


def half(bark: Subject, bench: Bench) -> None:
    """The logits of each stage under forced tokens."""
    import torch

    with bark.loaded(bench, dtype=str(half_of(bench)).removeprefix("torch.")) as binding:
        model = binding.model._model
        config = model.config
        draw = torch.Generator().manual_seed(0)

        def forced(count: int, *shape: int) -> Any:
            return torch.randint(count, (1, _TOKENS, *shape), generator=draw).to(bench.device)

        semantic = forced(config.semantic_config.input_vocab_size)
        coarse = forced(config.coarse_acoustics_config.input_vocab_size)
        codes = forced(config.fine_acoustics_config.input_vocab_size, config.fine_acoustics_config.n_codes_total)
        for name, run, module in (
            ("semantic", lambda dtype: model.semantic(input_ids=semantic).logits, model.semantic),
            ("coarse", lambda dtype: model.coarse_acoustics(input_ids=coarse).logits, model.coarse_acoustics),
            ("fine", lambda dtype: model.fine_acoustics(4, input_ids=codes).logits, model.fine_acoustics),
        ):
            compare(bench, f"{bark.model}, {name}", run, module)


def attention(bark: Subject, bench: Bench) -> None:
    """That kind is at work which was asked for; one that cannot be had is refused."""
    for name in ("eager", "auto", "flash_attention_2"):
        found: list[str] = []

        def act(name: str = name, found: list[str] = found) -> None:
            with bark.loaded(bench, attention=name) as binding:
                found.append(binding.model._model.config._attn_implementation)
                _call(binding, 1, bench)

        error = refusal(BindingDependencyError, act)
        assert error is None or name == "flash_attention_2", f"{name} was refused: {error}"
        assert error or name in ("auto", *found), f"{name} was asked for, {found} is at work"
        bench.note(f"{name}: {error.message if error else found[0]}")


def offload(bark: Subject, bench: Bench) -> None:
    """Offloaded, it sounds the same and takes less of the card; a processor refuses it."""

    def act() -> None:
        with bark.loaded(bench, cpu_offload=True):
            pass

    if not bench.on_card:
        error = refusal(BindingDependencyError, act)
        assert error is not None, "a processor has nothing to offload from, and took it"
        bench.note(error.message)
        return
    found = {}
    for name, settings in (("whole", {}), ("offloaded", {"cpu_offload": True})):
        with bark.loaded(bench, **settings) as binding, bench.peak() as peak:
            found[name] = (_call(binding, 1, bench), peak)
    (whole, most), (offloaded, less) = found["whole"], found["offloaded"]
    assert whole == offloaded, "it sounds different"
    bench.figure(f"{bark.model}: peak, offloaded", less.gigabytes, "GB", beside="whole", other=most.gigabytes, goal=1.0)


# --- figures --------------------------------------------------------------------------------------------------------


def sentence(bark: Subject, bench: Bench) -> None:
    """A sentence by the binding and by the library on the same weights: whole, first sound, a step, the peak."""
    import torch

    with bark.loaded(bench) as binding:
        model, processor = binding.model._model, binding.model._processor

        def library() -> None:
            inputs = processor([SENTENCE], voice_preset=VOICE, max_length=256).to(bench.device)
            torch.manual_seed(1)
            model.generate(**inputs, return_output_lengths=True)[0].float().cpu().numpy()

        def ours() -> None:
            _call(binding, 1, bench)

        library()
        ours()
        with bench.peak() as peak:
            taken = card.seconds(bench.device, ours, 2)
        alone = card.seconds(bench.device, library, 2)
        made = _call(binding, 1, bench)
        expected = bench.size(SEMANTIC_TOKENS, TINY_TOKENS) / _A_SECOND
        assert abs(made.duration - expected) < 0.1, f"it lasts {made.duration:.2f} s, not {expected:.2f}"
        first = _first_sound(binding, text(3))
        what = f"{bark.model}, {_precision(binding)}"
        bench.figure(
            f"{what}: a sentence of {made.duration:.1f} s",
            taken,
            "s",
            beside="the library alone",
            other=alone,
            goal=1.05,
        )
        bench.figure(f"{what}: first sound of three sentences", first, "s")
        steps = round(made.duration * (_A_SECOND + 150))  # semantic, and coarse
        bench.figure(f"{what}: a step, all else shared out among them", taken / steps * 1e3, "ms")
        bench.figure(f"{what}: peak of the memory", peak.gigabytes, "GB")


def long_text(bark: Subject, bench: Bench) -> None:
    """Nine sentences: single precision, one by one, as one writes it at first; and as the binding does."""
    words = text(9)

    def taken(settings: dict[str, Any], **options: Any) -> tuple[float, Any]:
        with bark.loaded(bench, **settings) as binding:
            _call(binding, 1, bench)
            with bench.peak() as peak:
                began = time.perf_counter()
                made = binding.generate_audio(words, seed=1, **options)
            return (time.perf_counter() - began) / made.duration, peak

    naive, _ = taken(bark.whole, batch_size=1)
    ours, peak = taken({}, batch_size=16)
    what = f"{bark.model}: nine sentences, a second of sound"
    bench.figure(what, ours, "s", beside="float32, one by one", other=naive, goal=0.5 if bench.on_card else None)
    bench.figure(f"{bark.model}: peak of the memory", peak.gigabytes, "GB")


def compiling(bark: Subject, bench: Bench) -> None:
    """What compiling the two stages would bring that go by tokens; their attention knows no cache of fixed size."""
    with bark.loaded(bench) as binding:
        model = binding.model._model

        def change() -> None:
            for stage in (model.semantic, model.coarse_acoustics):
                stage.forward = compiled(stage.forward, bench, dynamic=True)

        measure(bench, f"{bark.model}: a sentence", lambda: _call(binding, 1, bench), change)


def _first_sound(binding: Any, words: str) -> float:
    began = time.perf_counter()
    stream = binding.stream_audio(words, seed=1)
    chunk: AudioChunk = next(stream)
    taken = time.perf_counter() - began
    stream.close()
    assert chunk.duration > 0
    return taken


def _precision(binding: Any) -> str:
    return str(binding.model._model.semantic.dtype).removeprefix("torch.")
