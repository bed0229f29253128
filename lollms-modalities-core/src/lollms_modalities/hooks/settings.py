"""What the configuration says of a plug-in: the table ``[plugins.NAME]``, and variables of the environment over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from lollms_modalities.calls.logs import log_failure

_SERVER_S = ("timeout",)  # what `lollms serve` reads there
given: Mapping[str, Mapping[str, Any]] | None = None  # by whoever has read another file
_NO = ("", "0", "false", "no", "off")


def settings_of(name: str) -> dict[str, Any]:
    """The settings of the plug-in of that name.

    ``LOLLMS_PLUGINS_MARKS_PRODUCER`` takes the place of ``producer`` in ``[plugins.marks]``; such values are strings.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    from lollms_modalities.configuration import read_configuration

    plugins = read_configuration().tables.get("plugins") if given is None else given
    table = plugins.get(name) if isinstance(plugins, Mapping) else None
    before = _prefix(name)
    told = {key[len(before) :].lower(): value for key, value in os.environ.items() if key.startswith(before) and value}
    return {**(table if isinstance(table, Mapping) else {}), **told}


def plugin_settings(name: str) -> dict[str, Any]:
    """Those of them that are its own. Raises as ``settings_of``."""
    return {key: value for key, value in settings_of(name).items() if key not in ("enabled", *_SERVER_S)}


def switched_off(name: str) -> bool:
    """Whether ``enabled`` is false there."""
    said = os.environ.get(f"{_prefix(name)}ENABLED")
    if said:  # without a look into the file, which most programs need for nothing else
        return said.strip().lower() in _NO
    try:
        enabled = settings_of(name).get("enabled", True)
    except Exception:
        log_failure("lollms_modalities.hooks", "the settings of the plug-in %r cannot be read; it is on", name)
        return False
    return enabled.strip().lower() in _NO if isinstance(enabled, str) else not enabled


def _prefix(name: str) -> str:
    return f"LOLLMS_PLUGINS_{name.upper().replace('-', '_')}_"


def name_for(plugin: object, taken: Callable[[str], bool]) -> str:
    """A name for a plug-in that was given none: that of its class or module, with a number where it is taken."""
    plain = getattr(plugin, "__name__", None) or type(plugin).__name__
    names = (plain if n == 1 else f"{plain}-{n}" for n in count(1))
    return next(name for name in names if not taken(name))


def made(found: Any, name: str) -> Any:
    """The plug-in that an entry point names: a module or an object as it is, of a class one object.

    Raises:
        Exception: what its class raises.
    """
    if not isinstance(found, type):
        return found
    import inspect

    if "settings" not in inspect.signature(found).parameters:
        return found()
    return found(settings=plugin_settings(name))
