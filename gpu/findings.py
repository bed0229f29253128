"""What a check finds: its figures and its words; and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from gpu.bench import Bench

Kind = Literal["model", "correctness", "figure"]
Status = Literal["passed", "failed", "not here", "over its time", "died", "no time left"]


class NotHere(Exception):
    """What is to be checked needs something that this machine does not have; its text says what."""


class Figure(NamedTuple):
    """One number, beside another one of the same run where there is one.

    Attributes:
        what: is measured.
        value, unit: of ours.
        beside: what the other one is, such as "the library alone"; "" where there is none.
        other: its value.
        goal: for ``value / other``: at most that, or at least that where ``more`` is better. None where there is none.
    """

    what: str
    value: float
    unit: str
    beside: str = ""
    other: float | None = None
    goal: float | None = None
    more: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours by the other."""
        return None if not self.other else self.value / self.other

    @property
    def verdict(self) -> str:
        """Whether the goal is met; "" where there is none."""
        if self.goal is None or self.ratio is None:
            return ""
        return "met" if (self.ratio >= self.goal if self.more else self.ratio <= self.goal) else "MISSED"


class Check(NamedTuple):
    """One thing to look at, alone.

    Attributes:
        name: begins with the model's, such as ``bark-small/seeds``.
        kind: models are made first, then comes what is correct, then figures.
        seconds: that it may take on a card; then it is ended.
        act: does it. What it raises is a failure; ``NotHere`` is none.
    """

    name: str
    kind: Kind
    seconds: float
    act: Callable[[Bench], None]


class Outcome(NamedTuple):
    """What became of a check."""

    name: str
    kind: Kind
    status: Status
    seconds: float
    said: str = ""
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    traceback: str = ""


ORDER: tuple[Kind, ...] = ("model", "correctness", "figure")


def in_order(checks: list[Check]) -> list[Check]:
    """Correctness before figures; else as given. Two of one name are an error."""
    names = [check.name for check in checks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Two checks are named {', '.join(twice)}.")
    return sorted(checks, key=lambda check: ORDER.index(check.kind))
