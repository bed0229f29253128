"""Pipelines of Diffusers: one step in half precision, attention, offloading, and how long they take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from lollms_modalities import BindingDependencyError, Progress, SettingsError, UnsupportedError

from gpu import card
from gpu.bench import Bench
from gpu.checks.precision import BOUNDS, compare, half_of
from gpu.checks.subject import Subject, refusal
from gpu.findings import Check


def denoiser(binding: Any) -> Any:
    """The part that works at each step."""
    from lollms_diffusers.loading import denoisers

    return denoisers(binding.model.pipe)[0]


def correctness(subject: Subject) -> list[Check]:
    """Of a pipeline."""
    return [
        subject.check("half beside single precision", half, loads=2),
        subject.check("offload", offload, loads=4),
    ]


def half(subject: Subject, bench: Bench) -> None:
    """One step of denoising, with what it is given in the first step of a call."""
    half = half_of(bench)
    with subject.loaded(bench, torch_dtype_str=str(half).removeprefix("torch.")) as binding:
        part = denoiser(binding)
        given = _first_step(subject, bench, binding)
        compare(bench, subject.model, lambda dtype: _run(part, given, half, dtype), part)


def attention(subject: Subject, bench: Bench) -> None:
    """That kind is at work which was asked for, and its step is nearly that of torch's own; others are refused."""
    given: list[tuple[Any, Any]] = []
    steps: dict[str, Any] = {}
    for name in ("native", "_native_flash", "flash"):
        error = refusal(BindingDependencyError, partial(_step_by, name, subject, bench, given, steps))
        assert error is None or name == "flash", f"{name} was refused: {error}"
        if error is not None:
            bench.note(f"{name}: {error.message}")
            continue
        apart = float((steps[name] - steps["native"]).norm() / steps["native"].norm())
        bench.note(f"{name}: at work, {apart:.2g} from native")
        assert apart <= BOUNDS["bfloat16"], f"{name}: {apart:.4f} from torch's own"
    error = refusal(SettingsError, partial(_step_by, "no such one", subject, bench, given, steps))
    assert error is not None, "a kind that nobody knows was taken"


def no_other_attention(subject: Subject, bench: Bench) -> None:
    """A U-Net heeds none but torch's own: another one is refused, rather than left out without a word."""
    for name, kind in (("_native_math", UnsupportedError), ("no such one", SettingsError)):
        error = refusal(kind, partial(_made, subject, bench, attention_backend=name))
        assert error is not None, f"{name} was taken"
        bench.note(error.message)
    _made(subject, bench, attention_backend="native")


def _step_by(name: str, subject: Subject, bench: Bench, given: list[tuple[Any, Any]], steps: dict[str, Any]) -> None:
    """One step with a kind of attention, into ``steps``; of all kinds with what the first was ``given``."""
    import torch

    with subject.loaded(bench, attention_backend=name) as binding:
        part = denoiser(binding)
        kinds: list[Any] = [getattr(getattr(m, "processor", None), "_attention_backend", None) for m in part.modules()]
        found = {str(kind.value) for kind in kinds if kind is not None}
        assert found == {name}, f"{name} was asked for, {found} is at work"
        if not given:
            given.append(_first_step(subject, bench, binding))
        with torch.inference_mode():
            steps[name] = _run(part, given[0], None, None).double().cpu()


def offload(subject: Subject, bench: Bench) -> None:
    """Offloaded, it makes nearly the same with less of the card; a processor refuses it."""
    kinds = ("enable_cpu_offload", "enable_sequential_cpu_offload")
    if not bench.on_card:
        for kind in kinds:
            error = refusal(BindingDependencyError, partial(_made, subject, bench, **{kind: True}))
            assert error is not None, f"a processor has nothing to offload from, and took {kind}"
        bench.note("refused on a processor")
        return
    whole, most = _made(subject, bench)
    for kind in kinds:
        offloaded, less = _made(subject, bench, **{kind: True})
        what = f"{subject.model}: peak, {kind}"
        bench.figure(what, less, "GB", beside="whole", other=most, goal=1.0)
        assert _close(whole, offloaded), f"{kind}: it makes something else"


def _made(subject: Subject, bench: Bench, **settings: Any) -> tuple[Any, float]:
    with subject.loaded(bench, **settings) as binding, bench.peak() as peak:
        made = subject.call(binding, 1, bench)
    return made, peak.gigabytes or 0.0


def _close(one: Any, other: Any) -> bool:
    """Whether two images differ by less than a hundredth on average."""
    import numpy as np

    pixels = [
        np.asarray(made.to_numpy() if hasattr(made, "to_numpy") else made.to_pil(), float) for made in (one, other)
    ]
    return bool(np.abs(pixels[0] - pixels[1]).mean() < 2.55)


# --- one step -------------------------------------------------------------------------------------------------------


class _SeenError(Exception):
    """The first step has begun."""


def _first_step(subject: Subject, bench: Bench, binding: Any) -> tuple[Any, Any]:
    """What the denoiser is given in the first step of a call, as (args, kwargs)."""
    seen: list[tuple[Any, Any]] = []

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        seen.append((args, kwargs))
        raise _SeenError

    hook = denoiser(binding).register_forward_pre_hook(keep, with_kwargs=True)
    try:
        subject.call(binding, 1, bench)
    except Exception:
        if not seen:
            raise
    finally:
        hook.remove()
    return seen[0]


def _run(part: Any, given: tuple[Any, Any], half: Any, dtype: Any) -> Any:
    """The denoiser's output of one step; what is in half precision is given in ``dtype``."""
    args, kwargs = (_cast(one, half, dtype) for one in given)
    return part(*args, **{**kwargs, "return_dict": False})[0]


def _cast(thing: Any, half: Any, dtype: Any) -> Any:
    if isinstance(thing, dict):
        return {name: _cast(value, half, dtype) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(_cast(value, half, dtype) for value in thing)
    return thing.to(dtype) if half is not None and getattr(thing, "dtype", None) == half else thing


# --- figures --------------------------------------------------------------------------------------------------------


def alone(
    subject: Subject, bench: Bench, what: str, ours: Callable[..., object], library: Callable[[Any], object]
) -> None:
    """A call by the binding and by the pipeline on the same weights: whole, a step, the peak.

    Args:
        what: is made.
        ours: given the binding and ``progress=``.
        library: given the pipeline.
    """
    with subject.loaded(bench) as binding:
        pipe = binding.model.pipe
        ours(binding), library(pipe)
        times: list[float] = []

        def watch(progress: Progress) -> None:
            card.settle(bench.device)  # a card is asked for the next step before it has done this one
            times.append(time.perf_counter())

        with bench.peak() as peak:
            taken = card.seconds(bench.device, lambda: ours(binding))
        ours(binding, progress=watch)
        other = card.seconds(bench.device, lambda: library(pipe))
        bench.figure(f"{subject.model}: {what}", taken, "s", beside="the pipeline alone", other=other, goal=1.05)
        step = statistics.median(after - before for before, after in pairwise(times))
        bench.figure(f"{subject.model}: a step", step * 1e3, "ms")
        bench.figure(f"{subject.model}: peak of the memory", peak.gigabytes, "GB")
