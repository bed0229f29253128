"""What compiling a model would bring. No binding does it by itself: this says what it is worth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from gpu import card
from gpu.bench import Bench
from gpu.findings import NotHere


def compiled(forward: Callable[..., Any], bench: Bench, **how: Any) -> Callable[..., Any]:
    """A module's ``forward``, compiled.

    On a processor it is only shown that this way can be gone: nothing is generated.

    Raises:
        NotHere: there is no compiler of C, which torch.compile needs.
    """
    import torch

    if bench.on_card and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        raise NotHere("torch.compile needs a compiler of C, and there is none")
    made: Callable[..., Any] = torch.compile(forward, **(how if bench.on_card else {"backend": "eager"}))
    return made


def measure(bench: Bench, what: str, call: Callable[[], object], change: Callable[[], object]) -> None:
    """Time a call, before and after a change; and the first one after it, which compiles.

    Args:
        what: is called.
        change: makes the model a compiled one.
    """
    call()
    plain = card.seconds(bench.device, call)
    change()
    first = card.seconds(bench.device, call)
    ours = card.seconds(bench.device, call)
    bench.figure(f"{what}, compiled", ours, "s", beside="not compiled", other=plain)
    bench.figure(f"{what}: the first one, compiled", first, "s")
