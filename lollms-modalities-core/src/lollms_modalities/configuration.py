"""The one configuration file that the command line, the server and plug-ins read: where it is, its tables, their lines.

What its tables mean is for those to say who read it. Imports ``errors``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lollms_modalities.errors import LollmsError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


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


# --- changing it ----------------------------------------------------------------------------------------------------


def change_configuration(keys: tuple[str, ...], value: Any, *, check: Callable[[], object] = lambda: None) -> Path:
    """Write one value, or take it out with None; what else is in the file stays as it is. Gives the file's path.

    Args:
        keys: the names of the table and of the value in it: ``("plugins", "marks", "producer")``.
        value: a JSON value.
        check: is called before, when nobody else changes the file.

    Raises:
        ConfigurationError: the file cannot be read or written, or is written in a way that this cannot change.
    """
    file = Path(os.path.realpath(configuration_path()))  # a link to it stays one
    with _alone(file):
        check()
        wanted = json.loads(json.dumps(read_configuration().tables, default=str))
        text = file.read_text("utf-8-sig") if file.exists() else ""
        try:
            changed = _edited(text, ".".join(keys[:-1]), keys[-1], value)
            _apply(wanted, keys, value)
            same = json.loads(json.dumps(_without_empty(tomllib.loads(changed)), default=str)) == _without_empty(wanted)
        except ValueError:
            same = False
        if not same:
            key = ".".join(keys)
            raise ConfigurationError(f"{key} cannot be changed in {file} from here.", hint="Change it with an editor.")
        _write(file, changed)
    return configuration_path()


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
        if not isinstance(table, dict):
            raise ValueError(f"{part} is no table")
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
