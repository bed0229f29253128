"""Folders of models: each is made when it is first asked for, and kept for the checks that follow."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gpu import card
from gpu.findings import NotHere

_ROOM = 1.1  # of a model's size that must be free


class Model(NamedTuple):
    """How a model is made.

    Attributes:
        make: writes one of real size into a folder, made on a device ("cuda").
        tiny: writes a tiny one of the same classes.
        gigabytes: that the former takes on a disk.
    """

    make: Callable[[Path, str], object]
    tiny: Callable[[Path], object]
    gigabytes: float


class Made(NamedTuple):
    """What it took."""

    seconds: float
    gigabytes: float


class Store:
    """The models in some folders, of which the first that has room gets the next. They outlive a process."""

    def __init__(self, roots: tuple[Path, ...], device: str, tiny: bool) -> None:
        self._roots = roots
        self._device = device
        self._tiny = tiny

    def folder(self, name: str) -> Path:
        """The folder of a model, made now if it is not there.

        Raises:
            RuntimeError: it could not be made, now or earlier.
        """
        for root in self._roots:
            if (mark := root / f"{name}.made").is_file():
                mark.touch()  # used last
                return root / name
            if (failed := root / f"{name}.failed").is_file():
                raise RuntimeError(f"The model {name} could not be made: {failed.read_text('utf-8')}")
        return self._make(name)

    def made(self, name: str) -> Made:
        """What it took to make a model that is there."""
        return Made(*json.loads(self.folder(name).with_suffix(".made").read_text("utf-8")))

    def _make(self, name: str) -> Path:
        from gpu.models.known import MODELS

        model = MODELS[name]
        root = self._with_room(0 if self._tiny else model.gigabytes)
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        began = time.perf_counter()
        try:
            model.tiny(folder) if self._tiny else model.make(folder, self._device)
            card.release(self._device)
        except NotHere:
            raise
        except Exception as exc:
            shutil.rmtree(folder, ignore_errors=True)
            (root / f"{name}.failed").write_text(f"{type(exc).__name__}: {exc}"[:500], "utf-8")
            raise
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
        (root / f"{name}.made").write_text(json.dumps([time.perf_counter() - began, size]), "utf-8")
        return folder

    def _with_room(self, gigabytes: float) -> Path:
        """A root with so much room, if need be after those are gone that were not used for longest."""
        needed = gigabytes * 1e9 * _ROOM
        while True:
            for root in self._roots:
                if shutil.disk_usage(root).free >= needed:
                    return root
            marks = sorted((m for root in self._roots for m in root.glob("*.made")), key=lambda m: m.stat().st_mtime)
            if not marks:
                raise RuntimeError(f"There is no room for {gigabytes:g} GB in {', '.join(map(str, self._roots))}.")
            shutil.rmtree(marks[0].with_suffix(""))
            marks[0].unlink()
