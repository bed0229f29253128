"""Half precision beside single precision, from the same weights and the same input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu.bench import Bench

# The most that ||half - single|| / ||single|| may be. A number has 8 bits in bfloat16, 11 in float16: 0.4 % and 0.05 %
# of an error in each product, of which those of dozens of layers add up like a random walk. What is wrong with a scale
# or a mask is off by about 1.
BOUNDS = {"bfloat16": 0.1, "float16": 0.02}


def half_of(bench: Bench) -> Any:
    """The half precision that is taken on this device."""
    import torch
    from lollms_modalities.kit.torch import pick_dtype

    return pick_dtype("auto", torch.device(bench.device)) if bench.on_card else torch.bfloat16


def compare(bench: Bench, what: str, run: Callable[[Any], Any], *modules: Any, half: Any = None) -> None:
    """Run something in half precision, then with the same modules in single precision, and say how far apart it is.

    Args:
        what: is run.
        run: given the precision, gives a tensor.
        modules: loaded in half precision; they are in single precision afterwards.
        half: which one, where it is not the device's own.
    """
    import torch

    half = half or half_of(bench)
    with torch.inference_mode():
        ours = run(half).double().cpu()
        for module in modules:
            module.float()
        single = run(torch.float32).double().cpu()
    assert torch.isfinite(ours).all(), f"{what}: not all numbers are finite"
    apart = float((ours - single).norm() / single.norm())
    name = str(half).removeprefix("torch.")
    bench.figure(
        f"{what}: {name} beside float32", apart, "of the length", beside="the bound", other=BOUNDS[name], goal=1.0
    )
    assert apart > 0, f"{what}: both are the same, so that nothing was in half precision"
    assert apart <= BOUNDS[name], f"{what}: {apart:.4f} apart, of at most {BOUNDS[name]}"
