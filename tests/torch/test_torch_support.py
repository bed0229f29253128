"""What the core gives to bindings on torch: devices, seeds, stopping."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lollms_modalities import BindingDependencyError, CallCancelled, GenerationError, ModelNotFoundError
from lollms_modalities.call import Call
from lollms_modalities.hub import explain_loading
from lollms_modalities.torch import pick_device, pick_dtype, seeded, seeded_steps, translate_error, use_threads

CPU = torch.device("cpu")


def draw(seed: int) -> list[float]:
    with seeded(seed, CPU):
        return torch.rand(4).tolist()  # type: ignore[no-any-return]


def steps(count: int) -> Iterator[float]:
    for _ in range(count):
        yield float(torch.rand(1))


def test_a_seed_repeats_and_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(7)
    undisturbed = torch.rand(3)
    torch.manual_seed(7)
    assert draw(1) == draw(1) != draw(2)
    assert torch.equal(torch.rand(3), undisturbed)


def test_steps_draw_as_if_nobody_else_did() -> None:
    alone = list(seeded_steps(steps(5), 1, CPU))
    mixed = []
    for value in seeded_steps(steps(5), 1, CPU):
        mixed.append(value)
        torch.rand(3)
        draw(9)
    assert mixed == alone
    assert len(set(alone)) == 5


def test_threads_do_not_disturb_each_other() -> None:
    expected = {seed: draw(seed) for seed in range(8)}
    found: dict[int, list[float]] = {}

    def work(seed: int) -> None:
        for _ in range(50):
            found[seed] = draw(seed)
            assert found[seed] == expected[seed]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_waiting_for_the_generators_ends_when_the_call_is_cancelled() -> None:
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with seeded(1, CPU):
            holding.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait(10)
    call = Call("generate")
    threading.Timer(0.05, call.cancel).start()
    with call.attach(), pytest.raises(CallCancelled), seeded(2, CPU):
        pytest.fail("it has the generators, which another one has")
    release.set()
    thread.join()
    assert draw(3) == draw(3)


def test_a_call_may_seed_inside_a_seed() -> None:
    with Call("generate").attach(), seeded(1, CPU):
        first = torch.rand(1)
        with seeded(2, CPU):
            torch.rand(1)
        second = torch.rand(1)
    with seeded(1, CPU):
        assert torch.equal(torch.cat([first, second]), torch.rand(2))


def test_closing_steps_early_closes_the_engine_s_iterator() -> None:
    closed = []

    def engine() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    taken = seeded_steps(engine(), 1, CPU)
    assert next(taken) == 0
    taken.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_a_device_that_is_not_there_is_named() -> None:
    assert pick_device().type in ("cpu", "cuda", "mps")
    assert pick_dtype("auto", CPU) is torch.float32
    assert pick_dtype("bfloat16", CPU) is torch.bfloat16
    with pytest.raises(BindingDependencyError, match=r"device='cuda:99' .* finds"):
        pick_device("cuda:99")


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    use_threads(1)
    assert torch.get_num_threads() == 1
    use_threads(before)


def test_out_of_memory_says_what_to_do() -> None:
    error = translate_error(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"))
    assert isinstance(error, GenerationError)
    assert "Tried to allocate 2 GiB" in str(error)
    assert "more" not in error.message
    assert translate_error(ValueError("other")) is None


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('it ran')",)


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    torch.save({"weights": Trap()}, path)
    with pytest.raises(ModelNotFoundError, match="could run anything"), explain_loading(tmp_path):
        torch.load(path, weights_only=True)
