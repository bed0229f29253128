"""From the configuration, and from what is installed, to what is served."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lollms_modalities import LollmsError, find_environment, find_place
from pydantic import ValidationError

from lollms_server.room.configuration import Configuration, Model
from lollms_server.room.models import MODALITIES, Catalogue, ServedModel
from lollms_server.room.resident import manager_of

_WHERE = ("environment", "place")  # which the file may say beside a binding's settings
# What answers where nothing is named and nothing configured: what is ready soonest after it was installed.
STARTERS = {"tts": "piper", "stt": "faster_whisper", "tti": "diffusers", "ttm": "bark", "ttv": "diffusers"}
# Bindings that ask another service. They cost money, or call in a circle: served where they are named.
SERVICES = frozenset(("lollms-remote", "lollms-dalle"))


def catalogue_of(configuration: Configuration) -> Catalogue:
    """What is served. Imports no binding.

    Raises:
        ConfigurationError: a model whose binding is not there, a default or an alias of a model that is not served.
    """
    named = [_named(configuration, name, model) for name, model in configuration.models.items()]
    served = named if configuration.models else _installed(configuration)
    names = {model.name for model in served}
    defaults: dict[str, str] = {str(modality): name for modality, name in configuration.serve.defaults.items()}
    for modality, name in defaults.items():
        if (modality, name) not in {model.key for model in served}:
            raise configuration.complaint(
                f"the default of {modality} is {name!r}, which is not served.", "serve", "defaults", modality,
                hint=f"Served are: {', '.join(sorted(m.name for m in served if m.modality == modality)) or 'none'}.",
            )  # fmt: skip
    for alias, meant in configuration.serve.aliases.items():
        if meant.partition("/")[0] not in names:
            raise configuration.complaint(
                f"the alias {alias!r} means {meant!r}, which is not served.", "serve", "aliases", alias,
                hint=f"Served are: {', '.join(sorted(names)) or 'none'}.",
            )  # fmt: skip
    for modality in MODALITIES:
        chosen = _chosen_elsewhere(configuration, modality)
        if not configuration.models:
            chosen.append(STARTERS[modality])
        for binding in filter(None, chosen):
            matching = [m.name for m in served if m.modality == modality and m.binding == binding]
            if matching:
                defaults.setdefault(modality, matching[0])
    return Catalogue(served, defaults, configuration.serve.aliases)


def _chosen_elsewhere(configuration: Configuration, modality: str) -> list[str]:
    """The bindings that the command line would use, in turn: a variable of the environment, or ``[tts] binding``."""
    if variable := os.environ.get(f"LOLLMS_{modality.upper()}_BINDING", "").strip():
        return [variable]
    return _bindings_said(configuration, modality)


def _table(configuration: Configuration, *keys: str) -> dict[str, Any]:
    """A table of the command line's, such as ``[tts.piper]``; an empty one where there is none."""
    found: Any = configuration.file.tables
    for key in keys:
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise configuration.complaint(f"{key} is {found!r:.60}, not a table.", *keys)
    return dict(found)


def _bindings_said(configuration: Configuration, modality: str) -> list[str]:
    """``[tts] binding``: a name, or a list of names."""
    said = _table(configuration, modality).get("binding", [])
    names = said if isinstance(said, list) else [said]
    if not all(isinstance(name, str) for name in names):
        raise configuration.complaint(
            f"binding is {said!r:.60}, not a name or a list of names.", modality, "binding"
        )  # fmt: skip
    return names


def _installed(configuration: Configuration) -> list[ServedModel]:
    """Every binding that is installed, or in an environment, and runs here."""
    found = []
    for modality in MODALITIES:
        manager = manager_of(modality)
        table, said = _table(configuration, modality), _bindings_said(configuration, modality)
        for name in sorted({ref.name for ref in manager.refs()}):
            ref = manager.find(name)
            if ref.distribution in SERVICES:
                continue
            settings: dict[str, Any] = {}
            # What says where it runs, and where that stands in the file.
            where: dict[str, tuple[Any, tuple[str, ...]]]
            where = {w: (table[w], (modality, w)) for w in _WHERE if w in table and {*said} & {*ref.names}}
            for known in ref.names:
                settings |= _table(configuration, modality, known)
                where |= {w: (settings.pop(w), (modality, known, w)) for w in _WHERE if w in settings}
            try:
                model = Model(binding=name, settings=settings, **{w: value for w, (value, _) in where.items()})
            except ValidationError as exc:
                word = str(exc.errors()[0]["loc"][0])
                value, keys = where[word]
                raise configuration.complaint(f"{word} is {value!r:.60}, which is none.", *keys) from None
            _check_where(
                configuration,
                modality,
                model,
                {"binding": (modality, name), **{w: keys for w, (_, keys) in where.items()}},
            )
            found.append(_served(configuration, name, modality, model))
    return found


def _named(configuration: Configuration, name: str, model: Model) -> ServedModel:
    having = [m for m in MODALITIES if model.binding in manager_of(m).get_available_bindings()]
    modality: str | None = model.modality
    where = ("models", name, "binding")
    if modality is None:
        if len(having) > 1:
            raise configuration.complaint(
                f"{model.binding!r} is a binding of {' and '.join(having)}.",
                *where,
                hint='Say which: modality = "tts".',
            )
        modality = having[0] if having else None
    if modality is None:
        raise configuration.complaint(
            f"no binding {model.binding!r} is installed.",
            *where,
            hint="lollms list says which there are."
            if model.place is None
            else 'Of one that is only there, say the kind: modality = "tts".',
        )
    keys = {word: ("models", name, word) for word in ("binding", *_WHERE)}
    _check_where(configuration, modality, model, keys)
    _check_aliases(configuration, name, model)
    return _served(configuration, name, modality, model)


def _check_where(
    configuration: Configuration, modality: str, model: Model, keys: Mapping[str, tuple[str, ...]]
) -> None:  # fmt: skip
    """Whether there is such a place, or such an environment; ``keys`` say where that stands in the file."""
    word = "binding"
    try:
        if model.place is not None:
            word = "place"
            find_place(model.place)  # what is there is found when it is used
        elif model.environment is None:
            manager_of(modality).find(model.binding)
        else:
            word = "environment"
            find_environment(model.environment)
    except LollmsError as exc:
        raise configuration.complaint(exc.message, *keys[word], hint=exc.hint) from exc


def _check_aliases(configuration: Configuration, name: str, model: Model) -> None:
    for alias in model.aliases:
        if alias in configuration.models:
            raise configuration.complaint(f"{alias!r} is the name of another model.", "models", name, "aliases")
        others = [n for n, other in configuration.models.items() if n != name and alias in other.aliases]
        if others and configuration.models[others[0]].modality == model.modality:
            raise configuration.complaint(f"{alias!r} is an alias of {others[0]!r}, too.", "models", name, "aliases")


def _served(configuration: Configuration, name: str, modality: str, model: Model) -> ServedModel:
    serve, given = configuration.serve, model.model_fields_set
    environment = model.environment
    if environment is None and model.place is None:  # where it is found: only there, or here without what it needs
        environment = manager_of(modality).find(model.binding).environment
    return ServedModel(
        name=name,
        modality=modality,
        binding=model.binding,
        aliases=model.aliases,
        settings=dict(model.settings),
        environment=environment,
        place=model.place,
        isolated=model.isolated,
        pool=model.pool,
        wait_target=model.wait_target,
        idle_timeout=model.idle_timeout,
        keep_alive=model.keep_alive if "keep_alive" in given else serve.keep_alive,
        preload=model.preload,
        max_queue=model.max_queue if model.max_queue is not None else serve.max_queue,
        timeout=model.timeout if "timeout" in given else serve.timeout,
        voices=dict(model.voices),
        variables=model.variables,
    )
