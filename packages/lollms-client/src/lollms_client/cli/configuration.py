"""The configuration file: for each modality which binding is used, where it runs, and settings by binding.

[tts]
binding = "piper"
environment = "speech"

[tts.piper]
piper_voices_dir = "/home/me/voices"

``place`` stands where ``environment`` does. Both may also stand among the settings of one binding, for that alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lollms_modalities.configuration import ConfigurationError as ConfigurationError
from lollms_modalities.configuration import (
    ConfigurationFile,
    change_configuration,
    configuration_path,
    read_configuration,
)
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.settings.checking import near_miss

from lollms_client.cli.errors import UsageError

WHERE = ("environment", "place")  # where a binding runs
WORDS = ("binding", *WHERE)
OTHERS = ("serve", "models", "plugins")  # tables that `lollms serve` reads


class Configuration:
    """What the file says."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]], file: ConfigurationFile | None = None) -> None:
        self.tables = tables
        self.file = file

    def bindings(self, modality: str) -> list[str]:
        """The bindings to use: one, or several of which the first that is to be had is taken; or none."""
        said = self.tables.get(modality, {}).get("binding")
        return [said] if isinstance(said, str) else list(said or ())

    def runs_in(self, modality: str, binding: str, *names: str) -> dict[str, str]:
        """The ``environment`` and ``place`` of a binding, as far as they are said: of it alone, by whichever of its
        names, else of all that ``binding`` names."""
        table = self.tables.get(modality, {})
        said: dict[str, str] = {}
        for name in (None, *(names or (binding,))):
            if name is None and binding not in self.bindings(modality):
                continue
            said |= {word: v for word, v in (table if name is None else table.get(name, {})).items() if word in WHERE}
        return said

    def where_said(self, modality: str, word: str, *names: str) -> str:
        """``FILE, line 3``: where ``runs_in`` has a word from."""
        having = [name for name in names if word in self.tables.get(modality, {}).get(name, {})]
        return self.where(modality, *having[-1:], word)

    def where(self, *keys: str) -> str:
        """``FILE, line 3``: where it says that, for messages."""
        return str(path()) if self.file is None else self.file.where(*keys)

    def settings(self, modality: str, *names: str) -> dict[str, Any]:
        """The settings of a binding, by whichever of its names."""
        table = self.tables.get(modality, {})
        return {key: value for name in names for key, value in table.get(name, {}).items() if key not in WHERE}


def path() -> Path:
    """Where the file is, or would be."""
    return configuration_path()


def load() -> Configuration:
    """Read the file; without one, nothing is configured.

    Raises:
        ConfigurationError: it cannot be read, or says what means nothing.
    """
    return configured(read_configuration())


def configured(file: ConfigurationFile) -> Configuration:
    """What a file says of bindings. Raises ``ConfigurationError``: it says what means nothing."""
    _check(file)
    return Configuration({name: table for name, table in file.tables.items() if name in MODALITIES}, file)


def _check(file: ConfigurationFile) -> None:
    for modality, table in file.tables.items():
        if modality in OTHERS:
            continue
        if modality not in MODALITIES or not isinstance(table, dict):
            raise ConfigurationError(
                f"{file.where(modality)}: {modality!r} means nothing there.",
                hint=near_miss(modality, (*MODALITIES, *OTHERS), "tables"),
            )
        for key, value in table.items():
            if not (_is_chain(value) if key == "binding" else isinstance(value, str if key in WORDS else dict)):
                raise ConfigurationError(
                    f"{file.where(modality, key)}: {modality}.{key} is {value!r}.",
                    hint=f"In [{modality}] {', '.join(WORDS)} are strings, binding also a list of them, and "
                    f"[{modality}.piper] is a table of the settings of piper.",
                )
            for word in WHERE:
                if isinstance(value, dict) and not isinstance(value.get(word, ""), str):
                    raise ConfigurationError(
                        f"{file.where(modality, key, word)}: {modality}.{key}.{word} is {value[word]!r}.",
                        hint="It is a string, which says where the binding runs.",
                    )


def _is_chain(value: Any) -> bool:
    """Whether it names a binding, or several."""
    several = isinstance(value, list) and bool(value) and all(isinstance(name, str) and name.strip() for name in value)
    return isinstance(value, str) or several


def parse_key(key: str) -> tuple[str, ...]:
    """``tts.binding`` or ``tts.piper.n_threads`` in its parts.

    Raises:
        UsageError: it is no key.
    """
    parts = tuple(key.split("."))
    is_word = len(parts) == 2 and parts[1] in WORDS
    is_setting = len(parts) == 3 and all(re.fullmatch(r"[\w-]+", p) for p in parts[1:]) and parts[1] not in WORDS
    if parts[0] not in MODALITIES or not (is_word or is_setting):
        raise UsageError(
            f"{key!r} is no key of the configuration.",
            hint="There are MODALITY.binding, MODALITY.environment, MODALITY.place and MODALITY.BINDING.SETTING, such "
            "as tts.binding and tts.piper.n_threads; for one binding, MODALITY.BINDING.place, too.",
        )
    return parts


def change(key: str, value: Any) -> Path:
    """Write one value, or take it out with None; what else is in the file stays as it is. Gives the file's path.

    Raises:
        UsageError: no such key.
        ConfigurationError: the file cannot be read or written, or is written in a way that this cannot change.
    """
    parts = parse_key(key)
    change_configuration(parts, value, check=load)
    return path()
