"""LoRAs: small changes of a model, put on for a call and taken off again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities import BindingDependencyError, ModelNotFoundError, UnsupportedError
from lollms_modalities.kit.hub import explain_loading, find_model

_SUFFIX = ".safetensors"


class Source(NamedTuple):
    """Where a LoRA comes from: a file, or a repository of the hub with what it takes to fetch from there."""

    place: Path | str
    hub: dict[str, Any]


def find_lora(name: str, folders: Sequence[Path]) -> Path | str:
    """The safetensors file of a LoRA, or the name of a repository.

    Args:
        name: a file's path, the path of a folder with one such file, or a name of either in one of ``folders``.
        folders: where the user's LoRAs lie.

    Raises:
        ModelNotFoundError: there is none.
    """
    if 0 < len(name) < 1000 and "\0" not in name:
        for folder in (Path(), *folders):
            for file in (folder / Path(os.path.expanduser(name)), folder / f"{name}{_SUFFIX}"):
                own = folder == Path() or file.resolve().is_relative_to(folder.resolve())
                if own and file.suffix == _SUFFIX and _is_file(file):
                    return file
    found = find_model(name, folders=folders, what="LoRA")
    if isinstance(found, str):
        return found
    files = sorted(found.glob(f"*{_SUFFIX}"))
    if len(files) != 1:
        raise ModelNotFoundError(
            f"The folder {str(found)!r} of a LoRA holds {len(files)} files {_SUFFIX}.",
            hint="Give the path of one file.",
        )
    return files[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


class Loras:
    """The LoRAs that are on a pipeline, and on those that share its weights.

    Attributes:
        used: those of the last call, by name, with their weights.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._places: list[Path | str] = []
        self.used: dict[str, float] = {}

    def use(self, wanted: dict[str, float], find: Callable[[str], Source]) -> None:
        """Put on these, with their weights, and take off all others.

        Raises:
            ModelNotFoundError: one cannot be had.
            UnsupportedError: the pipeline takes none, or not this one.
            BindingDependencyError: peft is not installed.
        """
        if not wanted and not self.used:
            return
        self._check()
        sources = [find(name) for name in wanted]
        places = [source.place for source in sources]
        adapters = [f"lora_{number}" for number in range(len(places))]
        # By place: the same name may be another file for another binding on the same model.
        if places != self._places:
            self._take_off()
            try:
                for name, source, adapter in zip(wanted, sources, adapters, strict=True):
                    self._load(name, source, adapter)
            except BaseException:
                self._take_off()
                raise
            self._places = places
        if wanted:
            self._pipe.set_adapters(adapters, list(wanted.values()))
        self.used = dict(wanted)

    def _load(self, name: str, source: Source, adapter: str) -> None:
        unfit = UnsupportedError(
            f"The LoRA {name!r} does not fit {type(self._pipe).__name__}.", hint="Use one that was made for this model."
        )
        with explain_loading(source.place, "LoRA", mark=""), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # two LoRAs are meant
            try:
                self._pipe.load_lora_weights(
                    str(source.place), adapter_name=adapter, use_safetensors=True, **source.hub
                )
            except (RuntimeError, ValueError, KeyError) as exc:
                if isinstance(source.place, str):
                    raise
                raise unfit from exc
        if not any(adapter in names for names in self._pipe.get_list_adapters().values()):
            raise unfit  # nothing of it has the name of a layer

    def _take_off(self) -> None:
        self._pipe.unload_lora_weights()
        self._places, self.used = [], {}

    def _check(self) -> None:
        if not hasattr(self._pipe, "load_lora_weights"):
            raise UnsupportedError(f"{type(self._pipe).__name__} takes no LoRAs.")
        import importlib.util

        if importlib.util.find_spec("peft") is None:
            raise BindingDependencyError(
                "LoRAs need peft, which is not installed.", hint='Run pip install "lollms-diffusers[lora]>=2.0,<3".'
            )
