"""Which models there are, and which engine loads one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from lollms_modalities import BindingDependencyError, ModelNotFoundError, SettingsError, hub
from lollms_modalities.torch import Device, Precision, pick_device, pick_dtype

from lollms_audiocraft import audiocraft_engine, transformers_engine
from lollms_audiocraft.engine import Engine

if TYPE_CHECKING:
    import torch

EngineName = Literal["transformers", "audiocraft"]

# Those of the hub that make music from text alone. Their repositories hold both layouts.
KNOWN = tuple(
    f"facebook/musicgen-{kind}" for kind in "small medium large stereo-small stereo-medium stereo-large".split()
)
# By this file the folder of a model is known to its engine.
_MARKS: dict[EngineName, str] = {"audiocraft": "state_dict.bin", "transformers": "config.json"}


class Choice(NamedTuple):
    """A model, and how it is to be loaded; what is chosen alike is one model in memory."""

    engine: EngineName
    model: Path | str
    device: torch.device
    dtype: torch.dtype
    local_files_only: bool

    def load(self) -> Engine:
        """The model in memory."""
        if self.engine == "audiocraft":
            return audiocraft_engine.load(self.model, self.device, local_files_only=self.local_files_only)
        return transformers_engine.load(self.model, self.device, self.dtype, local_files_only=self.local_files_only)


def list_models(folders: Sequence[Path]) -> list[str]:
    """The models in the folders, and the names of those on the hub."""
    own = hub.list_models(folders, tuple(_MARKS.values()))
    return [*own, *(name for name in KNOWN if name not in own)]


def choose(
    name: str, folders: Sequence[Path], engine: str, device: Device, dtype: Precision, *, local_files_only: bool
) -> Choice:
    """The model of that name and the engine for it: the one asked for, else audiocraft where it is installed and can.

    Raises:
        ModelNotFoundError: there is none, or none that the engine can load.
        BindingDependencyError: the engine or the device is not there.
    """
    model: Path | str = name
    if name != audiocraft_engine.DEBUG:
        model = hub.find_model(name, folders=folders, marks=tuple(_MARKS.values()), what="MusicGen model")
    able = [e for e, mark in _MARKS.items() if _can(e, mark, model)]
    if engine != "auto":
        able = [e for e in able if e == engine]
    if not able:
        raise ModelNotFoundError(
            f"The model {str(model)!r} is not one that {engine} can load.",
            hint=f"It wants a folder with {' or '.join(m for e, m in _MARKS.items() if engine in (e, 'auto'))}.",
        )
    there = [e for e in able if e != "audiocraft" or _installed()]
    if not there:
        raise BindingDependencyError(
            f"The model {str(model)!r} is loaded with audiocraft, which is not installed here.",
            hint="Run lollms env create audiocraft: the library needs an environment of its own.",
        )
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    if there[0] == "audiocraft" and dtype not in ("auto", "float32" if where.type == "cpu" else "float16"):
        raise SettingsError(
            f"dtype={dtype!r} was asked for, and audiocraft takes its own on {where.type}.",
            hint="Leave dtype out, or use engine='transformers'.",
            names=["dtype"],
        )
    return Choice(there[0], model, where, precision, local_files_only)


def _can(engine: EngineName, mark: str, model: Path | str) -> bool:
    if isinstance(model, Path):
        return (model / mark).is_file()
    return engine == "audiocraft" or model != audiocraft_engine.DEBUG


def _installed() -> bool:
    try:
        importlib.metadata.version("audiocraft")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
