"""The one configuration file that the command line and the server read: where it is, its tables, and their lines.

What its tables mean is for those to say who read it. Imports ``errors``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lollms_modalities.errors import LollmsError


class ConfigurationError(LollmsError, ValueError):
    """The configuration file cannot be read or changed, or says what means nothing."""


class ConfigurationFile:
    """What the file says.

    Attributes:
        path: of the file, which need not be there.
        tables: what it holds.
        text: as it is written.
    """

    def __init__(self, path: Path, text: str = "", tables: dict[str, Any] | None = None) -> None:
        self.path = path
        self.text = text
        self.tables = tomllib.loads(text) if tables is None else tables

    def line(self, *keys: str) -> int | None:
        """The number of the line, from 1, that says ``keys`` (``"models", "narrator", "pool"``), or as much of them as
        has a line of its own; None where none has."""
        found: dict[tuple[str, ...], int] = {}
        for number, place in _places(self.text):
            for length in range(1, len(place) + 1):
                found.setdefault(place[:length], number)
        return next((found[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in found), None)

    def where(self, *keys: str) -> str:
        """``FILE, line 3``, for messages."""
        line = self.line(*keys)
        return str(self.path) if line is None else f"{self.path}, line {line}"


def configuration_path() -> Path:
    """Where the file is, or would be: ``LOLLMS_CONFIG``, else ``lollms/config.toml`` in the platform's folder."""
    from platformdirs import user_config_path

    given = os.environ.get("LOLLMS_CONFIG", "").strip()
    return Path(os.path.expanduser(given)) if given else user_config_path("lollms", appauthor=False) / "config.toml"


def read_configuration(path: Path | None = None) -> ConfigurationFile:
    """Read the file; without one at the usual place, nothing is configured.

    Args:
        path: another file, which must be there.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML.
    """
    file = configuration_path() if path is None else path
    try:
        return ConfigurationFile(file, file.read_text("utf-8-sig"))
    except FileNotFoundError as exc:
        if path is None:
            return ConfigurationFile(file)
        raise ConfigurationError(
            f"There is no configuration file {file}.", hint="Write it, or leave --config out."
        ) from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"The configuration file {file} cannot be read: {exc}.", hint="Mend it, or move it away."
        ) from exc


def _places(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The line of each header and each key, with the keys from the top that lead there."""
    table: tuple[str, ...] = ()
    quotes = ""  # of a string of several lines, while inside one
    for number, line in enumerate(text.splitlines(), 1):
        if quotes:
            quotes = "" if quotes in line else quotes
            continue
        stripped = line.strip()
        if stripped.startswith("["):
            header = re.match(r"\[\[?([^\[\]]+)\]\]?\s*(#.*)?$", stripped)
            table = (_keys(header[1]) or table) if header else table
            if header:
                yield number, table
        elif "=" in stripped and not stripped.startswith("#"):
            if keys := _keys(stripped.partition("=")[0]):
                yield number, (*table, *keys)
            quotes = next((q for q in ('"""', "'''") if stripped.count(q) % 2), "")


def _keys(written: str) -> tuple[str, ...]:
    """``a."b c"`` in its parts; none where that is no key."""
    try:
        value: Any = tomllib.loads(f"{written.strip()} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys)
