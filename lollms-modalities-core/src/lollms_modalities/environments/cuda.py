"""Files for CUDA beside a torch for the CPU, and stand-ins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lollms_modalities.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from lollms_modalities.environments.environment import Environment
    from lollms_modalities.environments.recipe import StandIn


ONLY_WITH_CUDA = ("triton",)  # required by some that run without it, and large
BUILDS = 10  # of torch that may be newer than the one for the CPU: one for each version of CUDA and the like


def take_out(environment: Environment, patterns: Sequence[str], pins: Sequence[str]) -> None:
    """Remove files that need CUDA, but for those of a package that comes as a build for the CPU."""
    (site,) = map(Path, environment.site_packages)
    for pattern in patterns:
        package = pattern.partition("/")[0]
        if not any(pin.startswith(f"{package}==") and "+cpu" in pin for pin in pins):
            for path in site.glob(pattern):
                path.unlink()  # but for this link to it, it stays in the installer's cache


def stand_in(environment: Environment, stand_ins: Sequence[StandIn]) -> None:
    """Write the modules that a recipe puts in the place of others."""
    (site,) = map(Path, environment.site_packages)
    names = [stand_in.module for stand_in in stand_ins]
    for stand_in in sorted(stand_ins, key=lambda s: s.module):
        path = site.joinpath(*stand_in.module.split("."))
        for parent in reversed(path.relative_to(site).parents[:-1]):
            package = site / parent / "__init__.py"
            if not package.exists() and not (site / parent).is_dir():
                write_new(package, "")
        if path.with_suffix(".py").exists() or path.is_dir():
            # It may be linked with the installer's cache, so that all others would get what is written there.
            raise EnvironmentBuildError(
                f"The recipe has a stand-in for {stand_in.module}, which is installed.",
                hint="A recipe excludes what it stands in for: tell the binding's authors.",
                reason="recipe",
            )
        reason = "".join(f"# {line}\n" for line in stand_in.reason.strip().splitlines())
        text = f"# Stands in for {stand_in.module}, as the recipe of this environment says:\n{reason}{stand_in.code}"
        is_package = any(name.startswith(f"{stand_in.module}.") for name in names)
        write_new(path / "__init__.py" if is_package else path.with_suffix(".py"), text)
        if stand_in.version:
            metadata = f"Metadata-Version: 2.1\nName: {stand_in.module}\nVersion: {stand_in.version}\n"
            write_new(site / f"{stand_in.module}-{stand_in.version}.dist-info" / "METADATA", metadata)


def write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def version_of(venv: Path) -> str:
    """The version of a virtual environment's Python, which has nothing of its parent's."""
    lines = [line.partition("=") for line in (venv / "pyvenv.cfg").read_text("utf-8").splitlines()]
    config = {key.strip(): value.strip() for key, _, value in lines}
    assert config.get("include-system-site-packages", "false") == "false"
    return config.get("version_info") or config["version"]


def torch_in(pins: Sequence[str]) -> str:
    for pin in pins:
        if pin.startswith("torch=="):
            return pin.removeprefix("torch==").split(" ")[0]
    return ""


def has_cuda() -> bool:
    return shutil.which("nvidia-smi") is not None or os.path.exists("/proc/driver/nvidia/version")
