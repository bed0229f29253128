"""What pip has been told about indexes, so that uv, which does not look there, is told the same.

Read are pip's files and its variables, in pip's order. What uv itself has been told, in its variables, goes before.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

# pip's option, uv's variable, and what is between several values.
_SAME = (
    ("index-url", "UV_DEFAULT_INDEX", ""),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("constraint", "UV_CONSTRAINT", " "),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("keyring-provider", "UV_KEYRING_PROVIDER", ""),
    ("cert", "SSL_CERT_FILE", ""),
    ("client-cert", "SSL_CLIENT_CERT", ""),
    ("proxy", "ALL_PROXY", ""),
    ("timeout", "UV_HTTP_TIMEOUT", ""),
)
_PYPI = "https://pypi.org/simple"
_OLDER = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
_ALIASES = {"default-timeout": "timeout", "pypi-url": "index-url"}
_ORIGINS = ("find-links", "constraint", "cert", "client-cert")  # may be paths, which uv is to find from any folder


def for_uv(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that tell uv what pip has been told."""
    settings = read(environ)
    variables: dict[str, str] = {}
    for option, variable, between in _SAME:
        value = settings.get(option, "").split() if between else [settings.get(option, "").strip()]
        told = variable in environ or _OLDER.get(variable, variable) in environ
        if any(value) and not told:
            variables[variable] = between.join(map(_absolute, value) if option in _ORIGINS else value)
    if "UV_INDEX" in variables and "UV_INDEX_STRATEGY" not in environ:
        # pip takes the best that any index has; uv would take what the first index has that knows the name. Of one
        # version it takes the files of one index alone: those of the main one, which has them all.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        main = variables.get("UV_DEFAULT_INDEX") or environ.get("UV_DEFAULT_INDEX") or _PYPI
        variables["UV_INDEX"] = f"{main} {variables['UV_INDEX']}"
    return variables


def no_index(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether pip has been told to look at no index, for which uv has no variable."""
    return read(environ).get("no-index", "").strip().lower() in ("1", "true", "yes", "on")


def read(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """pip's settings for ``pip install``, by the option's name."""
    found: dict[str, str] = {}
    for path in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # pip itself says so, and says it better
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {_option(name): value for name, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            found[_option(name[4:])] = value
    return found


def _option(name: str) -> str:
    option = name.lower().replace("_", "-")
    return _ALIASES.get(option, option)


def _absolute(place: str) -> str:
    return place if "://" in place else os.path.abspath(os.path.expanduser(place))


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    from platformdirs import site_config_dir, user_config_path

    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    for folder in site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep):
        yield Path(folder, name)
    if os.name != "nt":
        yield Path("/etc", name)
    yield Path.home() / ("pip" if os.name == "nt" else ".pip") / name
    yield user_config_path("pip", appauthor=False, roaming=True) / name
    yield Path(sys.prefix, name)
    if named:
        yield Path(named)
