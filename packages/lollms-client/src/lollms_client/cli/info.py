"""``lollms info``: all that is known of a binding before it is used."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any

import typer
from lollms_modalities.environments.environment import find_environment
from lollms_modalities.errors import LollmsError
from lollms_modalities.settings.base import BindingSettings

from lollms_client.cli.arguments import type_name
from lollms_client.cli.around import done_around
from lollms_client.cli.choice import parse_target
from lollms_client.cli.params import Json, Target, Where, grouped
from lollms_client.cli.telling import json_text
from lollms_client.cli.use import Which, maker_of, manager_of, opened


@grouped
def info(binding: Target, *, where: Where, json: Json = False) -> None:
    """Tell what a binding is: settings, options, capabilities, licence, place."""
    choice = parse_target(binding)
    told = _told(Which.of(choice.modality, choice.name, where))
    if json:
        typer.echo(json_text(told))
        return
    for line in _lines(told):
        typer.echo(line)


def _told(which: Which) -> dict[str, Any]:
    name, make = maker_of(which)
    description = make.describe()
    capabilities, missing = _capabilities(which)
    about: dict[str, Any] = {"modality": which.modality, "name": name, "aliases": []}
    about["place"] = which.place or which.environment
    try:  # what is elsewhere may be another version than what is here
        ref = None if which.place is not None else manager_of(which.modality).find(name)
    except LollmsError:  # the folder of an environment that is not among the named ones
        ref = None
    if ref is not None:
        about |= {"name": ref.name, "aliases": list(ref.aliases), "distribution": ref.distribution}
        about |= {"version": ref.version, "place": which.environment or ref.environment or ref.origin}
    held_by = None if which.place is not None else which.environment or (ref.environment if ref is not None else None)
    names = filter(None, (about.get("distribution"), description["engine"]))
    return {
        **about,
        "description": description["description"],
        "engine": description["engine"],
        "engine_version": description["engine_version"],
        "licences": {n: _licence(n, held_by) for n in names},
        "capabilities": capabilities,
        "capabilities_missing": missing,
        "also": dict(done_around(description, capabilities or {})),
        "settings": description["settings"],
        "options": description["options"],
        "options_of_verbs": {n: v["options"] for n, v in description["verbs"].items() if "options" in v},
        "verbs": sorted(description["verbs"]),
    }


def _capabilities(which: Which) -> tuple[dict[str, Any] | None, str | None]:
    """What it can do, which only a binding with its settings knows; else why that cannot be told."""
    try:
        with opened(which) as made:
            return made.binding.capabilities.to_json(), None
    except LollmsError as exc:
        return None, str(exc)


def _licence(name: str, environment: str | None) -> str:
    """What a distribution's metadata says; "" where it says nothing or the distribution is not there."""
    try:
        found = distribution(name) if environment is None else _in_environment(name, environment)
    except PackageNotFoundError:
        return ""
    metadata: Any = found.metadata
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    said = metadata.get("License-Expression") or metadata.get("License") or ", ".join(classifiers)
    return said.strip().split("\n")[0][:100]


def _in_environment(name: str, environment: str) -> Distribution:
    for found in distributions(name=name, path=find_environment(environment).site_packages):
        return found
    raise PackageNotFoundError(name)


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    also = f" (also {', '.join(told['aliases'])})" if told["aliases"] else ""
    yield f"{told['modality']}:{told['name']}{also}"
    yield f"  {told['description']}"
    facts = {
        "distribution": f"{told.get('distribution', '')} {told.get('version', '')}".strip(),
        "engine": f"{told['engine']} {told['engine_version']}".strip(),
        "place": told["place"],
        "licence": ", ".join(f"{name}: {licence or 'not told'}" for name, licence in told["licences"].items()),
        "capabilities": _said(told["capabilities"]) if told["capabilities"] is not None else "?",
        "verbs": ", ".join(told["verbs"]),
        **told["also"],
    }
    for name, value in facts.items():
        if value:
            yield f"  {name:13} {value}"
    if told["capabilities_missing"]:
        yield f"  To know its capabilities it has to be made. {told['capabilities_missing']}"
    yield from _fields("Settings (--set NAME=VALUE)", told["settings"])
    yield from _fields("Options of a call (--opt NAME=VALUE)", told["options"])
    for verb, options in told["options_of_verbs"].items():
        yield from _fields(f"Options of {verb}", options)


def _said(capabilities: Mapping[str, Any]) -> str:
    parts = []
    for name, value in capabilities.items():
        if value is True:
            parts.append(name)
        elif isinstance(value, Mapping):
            parts += [f"{key} {limit:g}" for key, limit in value.items()]
        elif value:
            parts.append(f"{name.replace('_', ' ')} {', '.join(map(str, value))}")
    return "; ".join(parts) or "none told"


def _fields(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    rows = []
    properties = schema.get("properties", {})
    # A binding's own first, then those that every binding has.
    for name in sorted(properties, key=lambda name: name in BindingSettings.model_fields):
        described = properties[name]
        default = "required" if name in required else json_.dumps(described.get("default"), ensure_ascii=False)
        rows.append((name, type_name(described, schema.get("$defs", {})), default, described.get("description", "")))
    if not rows:
        return
    yield ""
    yield title
    widths = [min(28, max(len(row[n]) for row in rows)) for n in range(3)]
    for row in rows:
        yield (
            "  " + "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip()
        )
