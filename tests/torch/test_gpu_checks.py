"""The checks of a GPU day see what they are there for: a toy that keeps its promises passes, one that breaks one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from lollms_modalities import CallCancelled, CancelToken
from lollms_modalities.kit.torch import translate_error

from gpu import card
from gpu.bench import Bench
from gpu.checks import promised
from gpu.checks.precision import compare
from gpu.checks.sharing import at_once
from gpu.checks.subject import Subject
from gpu.models import known
from gpu.models.store import Model, Store

KEPT: list[Any] = []


class Toy:
    """Does six steps with a matrix. ``fault``: the promise that it breaks."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.model: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.unload()

    def load(self) -> None:
        self.run(lambda: torch.nn.Linear(512, 512).to("cpu"))

    def unload(self) -> None:
        if self.fault == "keeps its memory" and self.model is not None:
            KEPT.append(self.model)
        self.model = None

    def run(self, make: Any) -> None:
        try:
            self.model = make()
        except RuntimeError as exc:
            raise self.translated(exc) from exc

    def translated(self, error: RuntimeError) -> Exception:
        translated = translate_error(error)
        return error if translated is None or self.fault == "lets torch's error through" else translated

    def call(self, seed: int, cancel: CancelToken | None) -> bytes:
        if self.model is None:
            self.load()
        draw = torch.Generator().manual_seed({"forgets the seed": 0}.get(self.fault, seed))
        if self.fault == "draws by itself":
            draw.seed()
        torch.nn.init.eye_(self.model.weight)
        torch.nn.init.zeros_(self.model.bias)
        state = torch.rand(1, 512, generator=draw)
        for _ in range(6):
            try:
                state = self.model(state)
            except RuntimeError as exc:
                if self.fault == "works no more afterwards":
                    self.fault = "draws by itself"
                raise self.translated(exc) from exc
            if cancel is not None and cancel.cancelled and self.fault != "does not stop":
                if self.fault == "stops late":
                    state = self.model(self.model(state))
                raise CallCancelled("it was cancelled")
        return state.detach().numpy().tobytes()


def subject(fault: str) -> Subject:
    return Subject(
        "toy",
        lambda folder, **settings: Toy(fault),
        lambda binding, seed, bench, cancel=None: binding.call(seed, cancel),
        lambda binding: binding.model,
        {},
        1.0,
    )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(known, "MODELS", {"toy": Model(lambda f, d: None, lambda f: None, 0.0)})
    yield Bench("cpu", True, Store((tmp_path,), "cpu", True), tmp_path)
    KEPT.clear()


@pytest.mark.parametrize("check", promised.promises(subject("")), ids=lambda check: check.name)
def test_who_keeps_the_promises_passes(bench: Bench, check: Any) -> None:
    check.act(bench)


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        ("draws by itself", "seeds repeat", "the same seed gives other bytes"),
        ("forgets the seed", "seeds repeat", "another seed gives the same"),
        ("does not stop", "stops within a step", "it was not cancelled"),
        ("stops late", "stops within a step", "2 steps were begun after cancel"),
        ("keeps its memory", "gives its memory back", "MB are not given back"),
        ("lets torch's error through", "out of memory", "out of memory"),
        ("works no more afterwards", "out of memory", "the next call gives something else"),
    ],
)
def test_who_breaks_a_promise_is_found_out(bench: Bench, fault: str, name: str, said: str) -> None:
    found = {check.name: check for check in promised.promises(subject(fault))}
    with pytest.raises((AssertionError, torch.OutOfMemoryError), match=said):
        found[f"toy/{name}"].act(bench)


def test_half_precision_that_is_far_off_is_found_out(bench: Bench) -> None:
    matrix = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))

    def run(dtype: Any, scale: float = 1.0) -> Any:
        off = 1.0 if dtype == torch.float32 else scale
        return (matrix.to(dtype) @ matrix.to(dtype)) * off

    compare(bench, "a product", run)
    assert 0 < bench.figures[0].value < 0.01
    with pytest.raises(AssertionError, match="apart, of at most"):
        compare(bench, "a product", lambda dtype: run(dtype, 1.2))
    with pytest.raises(AssertionError, match="nothing was in half precision"):
        compare(bench, "a product", lambda dtype: matrix)
    with pytest.raises(AssertionError, match="not all numbers are finite"):
        compare(bench, "a product", lambda dtype: matrix.to(dtype) * float("nan"))


def test_what_goes_wrong_in_a_thread_is_raised() -> None:
    assert at_once([lambda: 1, lambda: 2]) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: 1 // 0, lambda: 2])


@pytest.mark.parametrize("most", [79 << 30, 30 << 30, 100 << 20])
def test_a_card_is_filled_though_it_gives_not_all_in_one(most: int) -> None:
    """One of which so much can be had at once, in steps of two megabytes, of a little less than it says."""
    left = (79 << 30) - (5 << 20)

    def take(size: int) -> int:
        nonlocal left
        size = -(-size // (2 << 20)) * (2 << 20)
        if size > min(left, most):
            raise torch.OutOfMemoryError
        left -= size
        return size

    taken = card.fill(take, 79 << 30, torch.OutOfMemoryError)
    assert taken
    assert 0 <= left < 12 << 20


def test_a_card_is_asked_by_torch_where_nvidia_smi_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (30 << 30, 80 << 30))
    for told, expected in (("1234", 1234 << 20), ("[N/A]", 50 << 30), ("", 50 << 30)):
        monkeypatch.setattr(card, "_ask", lambda field, told=told: told)
        assert card.used("cuda") == expected
