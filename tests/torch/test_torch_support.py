"""What the core gives to bindings on torch: devices, seeds, stopping."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from checkpoints import Trap
from lollms_modalities import BindingDependencyError, CallCancelled, GenerationError, ModelNotFoundError
from lollms_modalities.calls.call import Call
from lollms_modalities.kit.hub import explain_loading
from lollms_modalities.kit.quieting import quiet
from lollms_modalities.kit.torch import (
    free_memory,
    pick_device,
    pick_dtype,
    seeded,
    seeded_steps,
    stopping_criteria,
    translate_error,
    use_threads,
)

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
    assert pick_device("cpu") == CPU
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


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 18.00 GB)",
        "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
    ],
)
def test_out_of_memory_is_also_told_where_the_error_has_no_type_of_its_own(said: str) -> None:
    error = translate_error(RuntimeError(said))
    assert isinstance(error, GenerationError)
    assert said in error.message
    assert error.hint
    assert translate_error(RuntimeError("shapes do not fit")) is None
    assert translate_error(ValueError("out of memory")) is None


def test_the_processor_s_own_words_are_those_that_are_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert isinstance(translate_error(caught.value), GenerationError), str(caught.value)


def test_a_pickle_with_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    torch.save({"weights": Trap()}, path)
    with pytest.raises(ModelNotFoundError, match="could run anything"), explain_loading(tmp_path):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EOFError("Ran out of input"), "Ran out of input"),
        (RuntimeError("PytorchStreamReader failed finding central directory"), "central directory"),
        (
            RuntimeError("You set `ignore_mismatched_sizes` to `False`"),
            "weights have other sizes than its configuration",
        ),
        (type("SafetensorError", (Exception,), {})("incomplete metadata"), "incomplete metadata"),
    ],
)
def test_damaged_weights_are_told(tmp_path: Path, error: Exception, said: str) -> None:
    with pytest.raises(ModelNotFoundError, match=said), explain_loading(tmp_path):
        raise error


def test_what_is_no_damage_goes_through(tmp_path: Path) -> None:
    with pytest.raises(torch.OutOfMemoryError), explain_loading(tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_what_may_not_be_fetched_is_refused_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for offline in (False, True):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        with (
            pytest.raises(ModelNotFoundError, match=r"'nobody/nothing' is not on this machine .* is set"),
            explain_loading("nobody/nothing", local_files_only=not offline),
        ):
            pytest.fail("it went on")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with explain_loading("nobody/nothing"):
        pass  # it may be fetched
    with explain_loading(Path("nowhere"), local_files_only=True):
        pass  # a path needs no fetching


def test_a_library_is_quiet_inside_and_as_it_was_afterwards(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import transformers.utils.logging as library

    logger = library.get_logger("transformers.test")
    handler = logging.getLogger("transformers").handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with quiet():
        thread.start()
        entered.wait(10)
        assert not library.is_progress_bar_enabled()
        with caplog.at_level(logging.WARNING):
            logger.warning("inside")
    assert not library.is_progress_bar_enabled()  # the other is still inside
    leave.set()
    thread.join()
    assert library.is_progress_bar_enabled()
    # What it says reaches the application's logging, if that wants it, and nobody's stderr.
    assert {record.getMessage() for record in caplog.records} == {"inside"}
    record = logging.LogRecord("transformers", logging.WARNING, "", 1, "said", (), None)
    assert handler.filter(record)
    with quiet():
        assert not handler.filter(record)
    assert "inside" not in capsys.readouterr().err


def test_stopping_criteria_tell_each_token_and_stop_nothing() -> None:
    told: list[int] = []
    criteria = stopping_criteria(told.append)
    for length in (3, 4):
        assert criteria(torch.ones(2, length, dtype=torch.long), None).tolist() == [False, False]
    assert told == [3, 4]


def test_memory_held_in_cycles_is_given_back() -> None:
    import gc
    import weakref

    module = torch.nn.Linear(2, 2)
    module.myself = module
    alive = weakref.ref(module)
    gc.disable()
    try:
        del module
        assert alive() is not None
        free_memory(CPU)
        assert alive() is None
    finally:
        gc.enable()
