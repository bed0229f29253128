"""What bindings on torch share: device, precision, threads, seeds, and how a generation is stopped.

Importing this module imports no torch; its functions do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock
from lollms_modalities.errors import BindingDependencyError, GenerationError, LollmsError

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")


def _auto(device: object) -> object:
    return "auto" if device is None else device


# For settings: where the model runs, how precisely, with how many threads. No device is auto.
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$"), BeforeValidator(_auto)]
Precision = Literal["auto", "float32", "float16", "bfloat16"]

# torch has one generator for each device, and some engines draw from it alone.
_generators = CallLock()


def pick_device(name: str | None = "auto") -> torch.device:
    """The device of that name; "auto" (or None) is the first GPU if there is one, else Apple's, else the processor.

    "cuda" is the first GPU, too, and told with its number: whoever asks for the one or the other means one model.

    Raises:
        BindingDependencyError: this machine, or this build of torch, has no such device.
    """
    import torch

    if name is None or name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        found = f"{count} of them" if count else "none"
        raise BindingDependencyError(
            f"device={name!r} was asked for, and torch {torch.__version__} finds {found}.",
            hint="Install a torch that is built for your GPU (pytorch.org says how), or leave device out.",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BindingDependencyError(
            f"device={name!r} was asked for, and torch {torch.__version__} finds none.", hint="Leave device out."
        )
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def pick_dtype(name: Precision, device: torch.device) -> torch.dtype:
    """The precision of that name; "auto" is half on a GPU (bfloat16 where it is native), single elsewhere."""
    import torch

    if name != "auto":
        return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float32


def use_threads(number: int) -> None:
    """Let torch's operators use so many threads of the processor. It is one number for the whole process."""
    import torch

    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


def free_memory(device: torch.device) -> None:
    """Give back what models have left behind, which hold themselves in cycles; on a GPU, torch keeps it for itself."""
    import gc

    gc.collect()
    cache = _module(device)
    if cache is not None:
        cache.empty_cache()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Give what runs inside the global generators of the processor and ``device``, seeded; afterwards as they were.

    One call at a time has them; waiting ends when the call is stopped. Nothing may be yielded from inside to a caller:
    for that there is ``seeded_steps``.
    """
    with _generator_of_its_own(_State(seed), device):
        yield


def seeded_steps(steps: Iterator[_T], seed: int, device: torch.device) -> Iterator[_T]:
    """The items of an iterator, each step of which runs as in ``seeded``; between steps the generators are free."""
    state = _State(seed)
    try:
        while True:
            with _generator_of_its_own(state, device):
                try:
                    item = next(steps)
                except StopIteration:
                    return
            yield item
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()


class _State:
    """Where a seeded sequence of random numbers stands: at its seed, or where the last step left it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: tuple[Any, Any] | None = None

    def enter(self, device: torch.device) -> None:
        import torch

        other = _module(device)
        if self._kept is None:
            # torch.manual_seed would seed every device, of which only this one is put back afterwards.
            torch.default_generator.manual_seed(self._seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(self._seed)
            elif other is not None:
                other.manual_seed(self._seed)
            return
        cpu, its = self._kept
        torch.set_rng_state(cpu)
        if other is not None:
            other.set_rng_state(its, device)

    def leave(self, device: torch.device) -> None:
        import torch

        other = _module(device)
        self._kept = (torch.get_rng_state(), None if other is None else other.get_rng_state(device))


def _module(device: torch.device) -> Any:
    import torch

    return {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)


@contextmanager
def _generator_of_its_own(state: _State, device: torch.device) -> Iterator[None]:
    import torch

    call = CURRENT.get() or Call("generate")
    held = call not in _generators.holders and _generators.acquire(call)
    try:
        kinds: dict[str, Any] = {}
        if device.type != "cpu":
            index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
            kinds = {"devices": [index or 0], "device_type": device.type}
        with torch.random.fork_rng(**(kinds or {"devices": []})):
            state.enter(device)
            yield
            state.leave(device)
    finally:
        if held:
            _generators.release(call)


def stopping_criteria(report: Callable[[int], object]) -> Any:
    """What ``generate`` of transformers asks after each token, as its ``stopping_criteria``.

    Args:
        report: called with the number of tokens so far; ``report_progress`` belongs in it. What it raises ends the
            generation.

    Returns:
        A ``StoppingCriteriaList`` that never stops a generation by itself.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Report(StoppingCriteria):  # type: ignore[misc, unused-ignore]
        none: Any = None  # made once: it is asked for after each token

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            count, length = input_ids.shape
            report(length)
            if self.none is None or len(self.none) != count:
                self.none = torch.zeros(count, dtype=torch.bool, device=input_ids.device)
            return self.none

    return StoppingCriteriaList([Report()])


# Not all that runs out of memory says so by an error of its own: the libraries of matrix products, Apple's GPUs and the
# processor have a RuntimeError.
_NO_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory", "not enough memory")


def translate_error(error: Exception) -> LollmsError | None:
    """The typed error for one of torch's, for a binding's ``translate_error``; None where there is no better one."""
    import sys

    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return None
    if isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        return GenerationError(
            f"The device ran out of memory: {(str(error).splitlines() or ['it does not say where'])[0]}",
            hint="Use a smaller model or a lower precision, ask for less at once, or choose device='cpu'.",
        )
    return None
