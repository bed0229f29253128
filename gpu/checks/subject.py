"""A binding with a model of its own, and the one call that stands for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lollms_modalities import LollmsError, SettingsError

from gpu.bench import Bench
from gpu.findings import Check


class Subject(NamedTuple):
    """What is looked at.

    Attributes:
        model: its name.
        make: the binding, given a folder and settings.
        call: something short: ``call(binding, seed, bench, **controls)`` gives bytes, or text.
        inside: the part of the loaded model that works at each step, as a module.
        whole: the setting by which it works in single precision.
        seconds: that loading it takes on a card, and a call.
    """

    model: str
    make: Callable[..., Any]
    call: Callable[..., Any]
    inside: Callable[[Any], Any]
    whole: dict[str, Any]
    seconds: float

    @contextmanager
    def loaded(self, bench: Bench, **settings: Any) -> Iterator[Any]:
        """The binding with its model in memory; closed afterwards."""
        with self.make(bench.models.folder(self.model), **bench.settings(**settings)) as binding:
            binding.load()
            yield binding

    def check(self, what: str, act: Callable[[Subject, Bench], None], *, loads: int = 1) -> Check:
        """One of what is correct."""
        return Check(f"{self.model}/{what}", "correctness", 20 + loads * self.seconds, lambda bench: act(self, bench))

    def figure(self, what: str, act: Callable[[Subject, Bench], None], seconds: float) -> Check:
        """One that measures."""
        return Check(f"{self.model}/{what}", "figure", seconds, lambda bench: act(self, bench))


def refusal(kind: type[LollmsError], act: Callable[[], object]) -> LollmsError | None:
    """The error of that kind with which something is refused; None where it is done. It must say what to do."""
    try:
        act()
    except kind as exc:
        if not exc.hint and not isinstance(exc, SettingsError):  # which says what there is
            raise
        return exc
    return None


def made(model: str, seconds: float) -> Check:
    """That a model can be made, and what it takes."""

    def act(bench: Bench) -> None:
        took = bench.models.made(model)
        bench.figure(f"{model}: made", took.seconds, "s")
        bench.figure(f"{model}: on the disk", took.gigabytes, "GB")

    return Check(f"{model}/made", "model", seconds, act)
