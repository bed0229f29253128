"""Pairs of timings, taken in turn, so that a machine whose speed drifts changes both alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lollms_modalities import hooks


class Pair(NamedTuple):
    """Medians of two timings in seconds, and of their ratio pair by pair."""

    ours: float
    peer: float
    ratio: float
    low: float
    high: float


@contextmanager
def without_plugins(*names: str) -> Iterator[None]:
    """As if those plug-ins were switched off: what is measured is the call, and not what they do to its result."""
    hooks.limit(None, without=names)
    hooks.replace(None)  # it looks again
    try:
        yield
    finally:
        hooks.limit(None)
        hooks.replace(None)


def seconds(fn: Callable[[], object], number: int = 1) -> float:
    """What one of ``number`` runs took."""
    start = time.perf_counter()
    for _ in range(number):
        fn()
    return (time.perf_counter() - start) / number


def paired(ours: Callable[[], float], peer: Callable[[], float], *, pairs: int, warm_up: int = 1) -> Pair:
    """Ask each for its seconds in turn, the order changing from pair to pair."""
    for _ in range(warm_up):
        ours(), peer()
    gc.collect()
    taken = []
    for n in range(pairs):
        if n % 2:
            a, b = ours(), peer()
        else:
            b, a = peer(), ours()
        taken.append((a, b))
    ratios = sorted(a / b for a, b in taken)
    return Pair(
        statistics.median(a for a, _ in taken),
        statistics.median(b for _, b in taken),
        statistics.median(ratios),
        ratios[len(ratios) // 4],
        ratios[(3 * len(ratios)) // 4],
    )


def show(what: str, peer: str, pair: Pair, goal: float, *, unit: float = 1e3, name: str = "ms") -> None:
    """One line: both figures, the ratio with its quartiles, the goal."""
    verdict = "met" if pair.ratio <= goal else "MISSED"
    print(
        f"{what:44} {pair.ours * unit:9.3f} {name}   {peer}: {pair.peer * unit:9.3f} {name}   "
        f"ratio {pair.ratio:.3f} ({pair.low:.3f} to {pair.high:.3f}), goal {goal:g}: {verdict}",
        flush=True,
    )


def show_extra(what: str, extra: float, goal: float, unit: float, name: str, how: str) -> None:
    """One line: what is added, and the goal."""
    verdict = "met" if extra <= goal else "MISSED"
    print(f"{what:44} {extra * unit:9.3f} {name}   {how}, goal {goal * unit:g} {name}: {verdict}", flush=True)
