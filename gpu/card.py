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
# Bytes that are left, about, of a card that is short of memory. For what is larger than a megabyte torch takes 20 MiB
# at once: such a thing cannot be had. With more left, convolutions would go ways that need less memory, and be
# remembered so, with a rounding of their own.
_LEFT = 10 << 20


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
        "driver": _ask("driver_version") or "not told",
        "memory": f"{about.total_memory / 1e9:.1f} GB",
    }


def used(device: str) -> int:
    """Bytes of the card's memory that are taken, by whoever, as its driver says in a process of its own, or else here.

    On a processor: bytes of all the tensors of this process.
    """
    if device == "cpu":
        return _tensors()
    if (told := _ask("memory.used")).isdecimal():
        return int(told) << 20
    free, whole = _torch().cuda.mem_get_info()
    return int(whole - free)


def _ask(field: str) -> str:
    """What nvidia-smi says of the card; "" where it is not there or cannot ask."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return "" if done.returncode else done.stdout.strip()


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
    ballast = fill(lambda size: torch.empty(size, dtype=torch.uint8, device=device), free, torch.OutOfMemoryError)
    try:
        yield
    finally:
        ballast.clear()
        torch.cuda.empty_cache()


def fill(take: Callable[[int], object], free: int, refused: type[Exception]) -> list[object]:
    """Take all that there is, in ever smaller pieces: no card gives all that is free in one.

    Args:
        take: takes so many bytes, or raises ``refused``.
        free: bytes that there may be.
    """
    taken, size = [], max(free, _LEFT)
    while True:
        try:
            taken.append(take(size))
        except refused:
            if size == _LEFT:
                return taken
            size = max(size // 2, _LEFT)


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
