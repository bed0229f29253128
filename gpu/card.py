"""The card: what it is, how much of it is taken, and what it is short of."""

from __future__ import annotations

import gc
import importlib.metadata
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_DISTRIBUTIONS = (
    "torch",
    "transformers",
    "diffusers",
    "accelerate",
    "openai-whisper",
    "numpy",
    "lollms-modalities-core",
)
_LEFT = 32 << 20  # bytes that are left of a card that is short of memory


def facts(device: str) -> dict[str, str]:
    """The card, the driver, and the versions of what works with them."""
    told = {"Python": platform.python_version(), "system": platform.platform(), "device": device}
    for name in _DISTRIBUTIONS:
        try:
            told[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            told[name] = "not installed"
    if device == "cpu":
        return {**told, "card": "none: on the processor"}
    torch = _torch()
    about = torch.cuda.get_device_properties(0)
    told |= {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}
    return {
        **told,
        "card": about.name,
        "driver": _ask("driver_version"),
        "memory": f"{about.total_memory / 1e9:.1f} GB",
    }


def used(device: str) -> int:
    """Bytes of the card's memory that are taken, by whoever, as its driver says in a process of its own.

    On a processor: bytes of all the tensors of this process.
    """
    if device == "cpu":
        return _tensors()
    return int(float(_ask("memory.used")) * (1 << 20))


def _ask(field: str) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise RuntimeError("There is no nvidia-smi, which tells how much of the card is taken.")
    command = [program, f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def _tensors() -> int:
    """Bytes of what the garbage collector knows, each storage once."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return 0
    storages = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, torch.nn.Parameter) and thing.layout is torch.strided:
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


class Peak:
    """``with Peak(device) as peak: ...``; then ``peak.gigabytes``, None on a processor."""

    gigabytes: float | None = None

    def __init__(self, device: str) -> None:
        self._device = device

    def __enter__(self) -> Peak:
        if self._device != "cpu":
            settle(self._device)
            _torch().cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._device != "cpu":
            self.gigabytes = _torch().cuda.max_memory_allocated() / 1e9


def settle(device: str) -> None:
    """Wait until the card has done what it was asked."""
    if device != "cpu":
        _torch().cuda.synchronize()


def release(device: str) -> None:
    """Give back what is left of what is gone."""
    gc.collect()
    if device == "cuda":
        _torch().cuda.empty_cache()


def seconds(device: str, act: Callable[[], object], times: int = 1) -> float:
    """What one of so many runs took, to the end of what the card does."""
    settle(device)
    began = time.perf_counter()
    for _ in range(times):
        act()
    settle(device)
    return (time.perf_counter() - began) / times


@contextmanager
def short_of_memory(device: str, part: Any = None) -> Iterator[None]:
    """Inside, the card has next to no memory left. On a processor it is as if.

    Args:
        part: on a processor, the module that says so when it is run; without one, each says so that is brought there.
    """
    torch = _torch()
    if device == "cpu":
        with _as_if(torch, part):
            yield
        return
    settle(device)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(max(0, free - _LEFT), dtype=torch.uint8, device=device)
    try:
        yield
    finally:
        del ballast
        torch.cuda.empty_cache()


@contextmanager
def _as_if(torch: Any, part: Any) -> Iterator[None]:
    def refuse(*seen: object, **more: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (as if).")

    if part is not None:
        hook = part.register_forward_pre_hook(refuse)
        try:
            yield
        finally:
            hook.remove()
        return
    before = torch.nn.Module.to
    torch.nn.Module.to = refuse
    try:
        yield
    finally:
        torch.nn.Module.to = before


def _torch() -> Any:
    import torch

    return torch
