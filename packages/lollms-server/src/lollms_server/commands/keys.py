"""``lollms serve key``: who may ask."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from lollms_modalities import ConfigurationError
from lollms_modalities.kit import near_miss

from lollms_server.commands.output import out, say
from lollms_server.room.keys import Keys


def _keys(given: argparse.Namespace) -> Keys:
    from lollms_server.commands.arguments import configured

    return Keys(configured(given).serve.keys_path())


def add(given: argparse.Namespace) -> int:
    """Make a key, and show it once."""
    models = None if given.models is None else tuple(filter(None, (name.strip() for name in given.models.split(","))))
    _check_models(given, models or ())
    made = _keys(given).add(
        given.name, role=given.role, models=models, at_once=given.at_once, engine_seconds=given.engine_seconds
    )
    return _show(made)


def _check_models(given: argparse.Namespace, models: Iterable[str]) -> None:
    """Whether models of those names are served: a key for one that is not would find nothing."""
    from lollms_server.commands.arguments import configured
    from lollms_server.room.serving import catalogue_of

    if models:
        served = {model.name for model in catalogue_of(configured(given)).served.values()}
        for name in models:
            if name not in served:
                hint = near_miss(name, sorted(served), "models")
                raise ConfigurationError(f"No model {name!r} is served, which the key would be for.", hint=hint)


def rotate(given: argparse.Namespace) -> int:
    """Make a new key in the place of an old one."""
    return _show(_keys(given).rotate(given.name))


def remove(given: argparse.Namespace) -> int:
    """A key counts no longer."""
    _keys(given).remove(given.name)
    say("The voices that were registered with it are removed by the server: now, or at its next start.")
    return 0


def list_keys(given: argparse.Namespace) -> int:
    """Who has a key, and what for."""
    for key in _keys(given).all():
        facts = [key.role, "all models" if key.models is None else ",".join(key.models) or "no models"]
        if key.at_once is not None:
            facts.append(f"{key.at_once} at once")
        if key.engine_seconds is not None:
            facts.append(f"{key.engine_seconds:g} s a day")
        out(f"{key.name}  {', '.join(facts)}, made {key.created[:19]}")
    return 0


def _show(key: str) -> int:
    out(key)
    say("Keep it: it is shown this once.")
    return 0
