"""What is kept of how an environment was made, in the environment itself: enough to make it again.

``lollms.json`` is the record, ``lollms-wheels`` holds the wheels that were built here, ``lollms-bindings.json`` what
the bindings said of themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lollms_modalities.environments.recipe import Recipe, parse_recipe
from lollms_modalities.errors import EnvironmentBuildError

FILE = "lollms.json"
WHEELS = "lollms-wheels"
BINDINGS = "lollms-bindings.json"
_FORMAT = 1


@dataclass(frozen=True)
class Request:
    """What was asked for when the environment was made; ``update`` asks for the same again.

    Attributes:
        binding: its name, or the requirement that was given in its place.
        python: path, version or range; "" for whatever fits.
        extras: of the distribution, besides those of the recipe.
        source: the folder that was given with ``--from``, or "".
        torch: "auto", "cpu" or "cuda".
        allow_build: whether what comes as source may be built before it is known to offer a binding.
    """

    binding: str
    python: str = ""
    extras: tuple[str, ...] = ()
    source: str = ""
    torch: str = "auto"
    allow_build: bool = False


@dataclass(frozen=True)
class Record:
    """How an environment was made.

    Attributes:
        name: of the environment.
        distribution, version: of what was asked for.
        python: version of the interpreter, such as "3.11.7".
        torch: version of torch, or "" without it.
        torch_index: whether that came from PyTorch's own index.
        pins: every distribution as it was installed; wheels that were built here by their file name.
        recipe: the text of the recipe.
        installer: its name and version.
        created: when, in UTC.
        seconds: how long it took.
    """

    name: str
    request: Request
    distribution: str
    version: str
    python: str
    pins: tuple[str, ...]
    recipe: str = ""
    torch: str = ""
    torch_index: bool = False
    installer: str = ""
    created: str = ""
    seconds: float = 0.0
    format: int = field(default=_FORMAT)

    @property
    def parsed_recipe(self) -> Recipe:
        """The recipe as data."""
        return parse_recipe(self.recipe, f"of {self.distribution} {self.version}")

    def write(self, folder: Path) -> None:
        """Write it into an environment."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def read_record(path: Path) -> Record | None:
    """The record of the environment in a folder, or in a file; None where there is none.

    Raises:
        EnvironmentBuildError: it cannot be read.
    """
    file = path / FILE if path.is_dir() else path
    try:
        data: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if data["format"] > _FORMAT:
            raise ValueError(f"it is of format {data['format']}, which is newer than {_FORMAT}")
        request = data.pop("request")
        request["extras"] = tuple(request["extras"])
        data["pins"] = tuple(data["pins"])
        return Record(request=Request(**request), **data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise EnvironmentBuildError(
            f"The record {file} cannot be read: {exc}.", hint="Make the environment anew.", reason="recipe"
        ) from exc


class DiskUse(NamedTuple):
    """Bytes on the disk; what is linked several times counts once.

    Attributes:
        size: in all.
        shared: of these, what other folders (uv's cache, other environments) have too, so that removing frees it not.
    """

    size: int
    shared: int


def disk_use(folders: Iterable[Path]) -> DiskUse:
    """What some environments take together."""
    counted: dict[tuple[int, int], tuple[int, int, int]] = {}
    for folder in folders:
        for place, directories, files in os.walk(folder):
            for name in (*directories, *files):
                try:
                    found = os.lstat(os.path.join(place, name))
                except OSError:
                    continue  # gone meanwhile
                size = found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
                key = (found.st_dev, found.st_ino)
                seen = counted[key][2] if key in counted else 0
                # Folders have links of their own.
                links = 1 if name in directories else found.st_nlink
                counted[key] = (size, links, seen + 1)
    return DiskUse(
        sum(size for size, _, _ in counted.values()),
        sum(size for size, links, seen in counted.values() if links > seen),
    )
