"""Which models there are, which engine loads one, and the model in memory."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lollms_modalities import BindingDependencyError, ModelNotFoundError, SettingsError, SharedModel
from lollms_modalities.kit import hub
from lollms_modalities.kit.torch import Device, Precision, pick_device, pick_dtype

from lollms_audiocraft import audiocraft_engine, transformers_engine
from lollms_audiocraft.engine import Engine

if TYPE_CHECKING:
    import torch

EngineName = Literal["auto", "transformers", "audiocraft"]

# Those of the hub that make music from text alone. Their repositories hold both layouts.
KNOWN = tuple(
    f"facebook/musicgen-{kind}" for kind in "small medium large stereo-small stereo-medium stereo-large".split()
)
# By this file the folder of a model is known to its engine; the first engine that can is taken.
_MARKS = {"audiocraft": "state_dict.bin", "transformers": "config.json"}


def list_models(folder: Path | None) -> list[str]:
    """The folders of MusicGen models in ``folder``, and the names of those on the hub."""
    found = [] if folder is None else hub.list_models([folder], tuple(_MARKS.values()))
    own = [name for name in found if folder is not None and _is_musicgen(folder / name)]
    return [*own, *(name for name in KNOWN if name not in own)]


def load_model(
    name: str, folder: Path | None, engine: EngineName, device: Device, dtype: Precision, *, local_files_only: bool
) -> SharedModel[Engine]:
    """The model of that name in memory; those that are loaded alike are one.

    Args:
        name: as in ``hub.find_model``, or audiocraft's ``debug``.
        folder: where the user's models lie, or None.
        engine: "auto" is audiocraft where it is installed and can load the model, else transformers.
        device, dtype: see ``lollms_modalities.kit.torch``. audiocraft's precision is its own.
        local_files_only: nothing is to be fetched.

    Raises:
        ModelNotFoundError: there is none, or none that the engine can load.
        BindingDependencyError: the engine or the device is not there.
        SettingsError: a precision that audiocraft does not take.
    """
    model: Path | str = name
    if name != audiocraft_engine.DEBUG:
        folders = [] if folder is None else [folder]
        model = hub.find_model(name, folders=folders, marks=tuple(_MARKS.values()), what="MusicGen model")
    chosen = _pick_engine(model, engine)
    fetched = Path(model) if name == audiocraft_engine.DEBUG else model
    with hub.explain_loading(fetched, "MusicGen model", mark=_MARKS[chosen], local_files_only=local_files_only):
        where = pick_device(device)
        precision = pick_dtype(dtype, where)
        if chosen == "audiocraft":
            _check_precision(dtype, where)

        def load() -> Engine:
            if chosen == "audiocraft":
                return audiocraft_engine.load(model, where, local_files_only=local_files_only)
            return transformers_engine.load(model, where, precision, local_files_only=local_files_only)

        path = model.resolve() if isinstance(model, Path) else model
        key = ("musicgen", chosen, path, where, precision, local_files_only)
        return SharedModel(key=key, load=load, free=lambda loaded: loaded.free())


def _pick_engine(model: Path | str, engine: EngineName) -> str:
    able = [name for name in _MARKS if engine in ("auto", name) and _can(name, model)]
    if not able:
        marks = [mark for name, mark in _MARKS.items() if engine in ("auto", name)]
        raise ModelNotFoundError(
            f"The model {str(model)!r} is none that engine={engine!r} can load.",
            hint=f"It takes a folder that holds {' or '.join(marks)}.",
        )
    there = [name for name in able if name != "audiocraft" or _installed()]
    if not there:
        raise BindingDependencyError(
            f"The model {str(model)!r} is to be loaded with audiocraft, which is not installed here.",
            hint="Run lollms env create audiocraft: the library needs an environment of its own.",
        )
    return there[0]


def _can(engine: str, model: Path | str) -> bool:
    if isinstance(model, Path):
        return (model / _MARKS[engine]).is_file()
    return engine == "audiocraft" or model != audiocraft_engine.DEBUG


def _check_precision(dtype: Precision, where: torch.device) -> None:
    own = "float32" if where.type == "cpu" else "float16"
    if dtype not in ("auto", own):
        raise SettingsError(
            f"dtype={dtype!r} was asked for, and audiocraft works in {own} on {where.type}.",
            hint="Leave dtype out, or use engine='transformers'.",
            names=["dtype"],
        )


def _is_musicgen(folder: Path) -> bool:
    if (folder / _MARKS["audiocraft"]).is_file():
        return True
    try:
        config = json.loads((folder / _MARKS["transformers"]).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "musicgen"


def _installed() -> bool:
    try:
        importlib.metadata.version("audiocraft")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
