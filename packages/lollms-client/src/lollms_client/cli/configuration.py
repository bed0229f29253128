"""The configuration file: for each modality which binding is used, where it runs, and settings by binding.

[tts]
binding = "piper"
environment = "speech"

[tts.piper]
piper_voices_dir = "/home/me/voices"
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lollms_modalities.configuration import ConfigurationError as ConfigurationError
from lollms_modalities.configuration import ConfigurationFile, configuration_path, read_configuration
from lollms_modalities.entry_points.groups import MODALITIES
from lollms_modalities.settings.checking import near_miss

from lollms_client.cli.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

WORDS = ("binding", "environment")
OTHERS = ("serve", "models", "plugins")  # tables that `lollms serve` reads


class Configuration:
    """What the file says."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]], file: ConfigurationFile | None = None) -> None:
        self.tables = tables
        self.file = file

    def binding(self, modality: str) -> str | None:
        """The binding to use, or None."""
        return self.tables.get(modality, {}).get("binding")

    def environment(self, modality: str, binding: str) -> str | None:
        """The environment in which the configured binding runs, or None."""
        table = self.tables.get(modality, {})
        return table.get("environment") if table.get("binding") == binding else None

    def where(self, *keys: str) -> str:
        """``FILE, line 3``: where it says that, for messages."""
        return str(path()) if self.file is None else self.file.where(*keys)

    def settings(self, modality: str, *names: str) -> dict[str, Any]:
        """The settings of a binding, by whichever of its names."""
        table = self.tables.get(modality, {})
        return {key: value for name in names for key, value in table.get(name, {}).items()}


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
            if not isinstance(value, str if key in WORDS else dict):
                raise ConfigurationError(
                    f"{file.where(modality, key)}: {modality}.{key} is {value!r}.",
                    hint=f"In [{modality}] {' and '.join(WORDS)} are strings, and [{modality}.piper] is a table of the "
                    "settings of piper.",
                )


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
            hint="There are MODALITY.binding, MODALITY.environment and MODALITY.BINDING.SETTING, such as tts.binding "
            "and tts.piper.n_threads.",
        )
    return parts


def change(key: str, value: Any) -> Path:
    """Write one value, or take it out with None; what else is in the file stays as it is. Gives the file's path.

    Raises:
        UsageError: no such key.
        ConfigurationError: the file cannot be read or written, or is written in a way that this cannot change.
    """
    parts = parse_key(key)
    file = Path(os.path.realpath(path()))  # a link to it stays one
    with _alone(file):
        load()  # which says what is wrong with it
        wanted = json.loads(json.dumps(read_configuration().tables, default=str))
        text = file.read_text("utf-8-sig") if file.exists() else ""
        try:
            changed = _edited(text, ".".join(parts[:-1]), parts[-1], value)
            _apply(wanted, parts, value)
            same = json.loads(json.dumps(_without_empty(tomllib.loads(changed)), default=str)) == _without_empty(wanted)
        except ValueError:
            same = False
        if not same:
            raise ConfigurationError(f"{key} cannot be changed in {file} from here.", hint="Change it with an editor.")
        _write(file, changed)
    return path()


def _edited(text: str, table: str, name: str, value: Any) -> str:
    """The text with one line of one table set or taken out."""
    lines = text.splitlines()
    line = [] if value is None else [f"{name} = {_toml(value)}"]
    header = next((n for n, old in enumerate(lines) if re.fullmatch(rf"\s*\[{re.escape(table)}\]\s*(#.*)?", old)), None)
    if header is None:
        lines += [*([""] if lines and line else []), *([f"[{table}]", *line] if line else [])]
        return "\n".join(lines) + "\n"
    end = next((n for n in range(header + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    for n in range(header + 1, end):
        if re.match(rf"\s*{re.escape(name)}\s*=", lines[n]):
            return "\n".join([*lines[:n], *line, *lines[n + 1 :]]) + "\n"
    return "\n".join([*lines[: header + 1], *line, *lines[header + 1 :]]) + "\n"


def _toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(str(k))} = {_toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return repr(value)  # inf and nan are written as TOML has them
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _apply(tables: dict[str, Any], parts: tuple[str, ...], value: Any) -> None:
    table = tables
    for part in parts[:-1]:
        table = table.setdefault(part, {})
    if value is None:
        table.pop(parts[-1], None)
    else:
        table[parts[-1]] = json.loads(json.dumps(value, default=str))


def _without_empty(tables: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in tables.items()}
    return {k: v for k, v in cleaned.items() if v != {}}


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """While the file is changed nobody else changes it, and what the system says names it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file.parent, os.O_RDONLY)
        try:
            if fcntl is not None:
                with suppress(OSError):  # a file system without locks
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise ConfigurationError(
            f"The configuration file {file} cannot be written: {exc.strerror}.", hint="LOLLMS_CONFIG names another."
        ) from exc


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        # Readable by its owner alone: there may be keys of services in it.
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
