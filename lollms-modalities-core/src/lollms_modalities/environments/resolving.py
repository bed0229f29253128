"""Which versions an environment is made of: resolved by the installer, with the build of torch that was asked for.

What a killed process had resolved serves again if the same is asked for within a day.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lollms_modalities.environments import cuda, pip_settings, store
from lollms_modalities.environments.cuda import BUILDS, ONLY_WITH_CUDA, torch_in
from lollms_modalities.environments.installers import InstallerFailed, Wishes
from lollms_modalities.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.environments.installers import Installer
    from lollms_modalities.environments.record import Request
    from lollms_modalities.environments.sources import Found

Torch = Literal["auto", "cpu", "cuda"]

_A_DAY = 86400.0


class Resolver:
    """Finds the pins of one environment.

    Args:
        call: the making's, which is told that this has begun.
        installer: that resolves.
        wanted: what was asked for.
        what: the begin of the sentence that says what was not made.
    """

    def __init__(self, call: Call, installer: Installer, wanted: Request, what: str) -> None:
        self._call = call
        self._installer = installer
        self._wanted = wanted
        self._what = what

    def pins(self, room: store.Room, found: Found, python: str) -> tuple[list[str], bool]:
        """The pins, and whether torch is to come from PyTorch's index; as a killed process had them, if one had."""
        key = self._key(found, python)
        for folder in store.abandoned():
            with contextlib.suppress(OSError, ValueError, KeyError):
                kept = json.loads((folder / "work" / "resolved.json").read_text("utf-8"))
                if kept["key"] == key and time.time() - kept["at"] < _A_DAY:
                    return [_moved(pin, folder, room.folder) for pin in kept["pins"]], bool(kept["torch_index"])
        self._call.report(0, stage="resolve")
        pins, torch_index = self.resolve(room.venv, found)
        kept = {"key": key, "at": time.time(), "pins": pins, "torch_index": torch_index}
        (room.work / "resolved.json").write_text(json.dumps(kept), "utf-8")
        return pins, torch_index

    def _key(self, found: Found, python: str) -> str:
        wheels = {name: hashlib.sha256(wheel.read_bytes()).hexdigest() for name, wheel in found.wheels.items()}
        asked = [found.requirement, wheels, found.recipe_text, self._wanted.extras, self._wanted.torch, python]
        return json.dumps([self._installer.version(), asked, sorted(_settings().items())])

    def resolve(self, venv: Path, found: Found) -> tuple[list[str], bool]:
        """The pins as the installer resolves them now, and whether torch is to come from PyTorch's index."""
        recipe = found.recipe
        requirements = tuple(found.requirements)
        overrides = (*recipe.overrides, *Wishes.without(recipe.exclusions))
        plain = Wishes(requirements, (), overrides)
        if not recipe.torch or sys.platform == "darwin":  # which has but one build
            return self._installer.resolve(venv, plain), False
        choice = self._wanted.torch
        if choice == "cpu" or (choice == "auto" and not cuda.has_cuda()):
            return self._resolve_for_cpu(venv, plain)
        pins = self._installer.resolve(venv, plain)
        if choice == "cuda" and torch_in(pins).endswith("+cpu"):
            # At hand, and by its version it passes for newer than the one with CUDA.
            without = Wishes(requirements, (f"torch!={torch_in(pins)}",), overrides)
            pins = self._installer.resolve(venv, without)
        return pins, False

    def _resolve_for_cpu(self, venv: Path, plain: Wishes) -> tuple[list[str], bool]:
        """With a build of torch for the CPU: one at hand, one that an index has, one of PyTorch's own index.

        Where "auto" was asked for and there is none of these, the build with CUDA serves on a CPU, too.
        """
        overrides = plain.overrides
        if self._installer.can_override:
            overrides += Wishes.without(ONLY_WITH_CUDA)
        near = self._cpu_torch_at_hand(venv)
        ways = [Wishes(plain.requirements, (f"torch=={near}",), overrides)] if near else []
        ways += [Wishes(plain.requirements, (), overrides)]
        ways += [Wishes(plain.requirements, (), overrides, torch_index=True)]
        failed: InstallerFailed | None = None
        for way in ways:
            try:
                pins = self._installer.resolve(venv, way)
            except InstallerFailed as exc:
                failed = exc if not (way.constraints or way.torch_index) else failed
                continue
            if torch_in(pins).endswith("+cpu"):
                return pins, way.torch_index
        if self._wanted.torch == "auto":
            return self._installer.resolve(venv, plain), False
        if failed is not None:
            raise failed  # whatever the build
        raise EnvironmentBuildError(
            f"{self._what}: no build of torch for the CPU that fits is at hand, nor does PyTorch's own index give one.",
            hint="Name a folder that holds one in pip's find-links, or give --torch cuda, whose build runs on a CPU, "
            "too, and is gigabytes large.",
            reason="requirements",
        )

    def _cpu_torch_at_hand(self, venv: Path) -> str:
        """The newest build of torch for the CPU that find-links has, or ""."""
        others: list[str] = []
        while len(others) < BUILDS:
            try:
                found = torch_in(self._installer.resolve(venv, Wishes(("torch",), tuple(others)), offline=True))
            except InstallerFailed:  # there is none, or none besides those
                return ""
            if found.endswith("+cpu"):
                return found
            others.append(f"torch!={found}")
        return ""


def _moved(pin: str, old: Path, new: Path) -> str:
    return pin.replace(old.as_uri(), new.as_uri())


def _settings() -> dict[str, str]:
    """What of the surroundings decides what is resolved."""
    return {k: v for k, v in {**pip_settings.for_uv(), **os.environ}.items() if k.startswith("UV_")}
