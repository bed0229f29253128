"""A value for the configuration, looked at before it is written: by the binding that is to have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lollms_modalities.environments.environment import find_environment
from lollms_modalities.errors import LollmsError, SettingsError
from lollms_modalities.finding.bindings import candidates, find_bindings
from lollms_modalities.finding.loading import not_found
from lollms_modalities.finding.mending import extra_of
from lollms_modalities.settings.checking import near_miss, validate
from lollms_modalities.workers.finding_places import find_place
from lollms_modalities.workers.places import has_our_environments

from lollms_client.cli import configuration
from lollms_client.cli.arguments import typed
from lollms_client.cli.choice import known_name
from lollms_client.cli.configuration import WHERE
from lollms_client.cli.errors import UsageError
from lollms_client.cli.use import Which, maker_of, manager_of


def checked(parts: tuple[str, ...], text: str) -> tuple[tuple[str, ...], Any]:
    """The key and the value as they are to be written.

    Args:
        parts: of the key.
        text: the value as it was typed.

    Raises:
        BindingNotFoundError: no such binding or environment.
        UsageError, SettingsError: no such setting, or no value that it takes.
    """
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"The value {text!r} is no text: {exc.reason}.", hint="Give it in UTF-8.") from exc
    modality = parts[0]
    if parts[1] == "binding":
        said = [name.strip().strip("\"'") for name in text.strip("[] ").split(",")]
        if len(said) > 1 and not all(said):
            raise UsageError(f"{text!r} names nothing between commas.", hint="Write it as kokoro,piper.")
        names = list(dict.fromkeys(_wanted(modality, name, chain=len(said) > 1) for name in said))
        return parts, names if len(names) > 1 else names[0]
    if parts[-1] in WHERE:
        _check_where(parts, text)
        if len(parts) == 3:
            parts = (modality, _known(modality, parts[1], text if parts[2] == "place" else None), parts[2])
        return parts, text
    binding, name = _known(modality, parts[1]), parts[2].replace("-", "_")
    _, make = maker_of(Which(modality, binding))
    schema = make.describe()["settings"]
    if name not in schema.get("properties", {}):
        raise UsageError(
            f"{modality}:{binding} has no setting {name!r}.", hint=near_miss(name, schema["properties"], "settings")
        )
    value = typed(name, text, schema)
    if value is None:
        raise UsageError(f"{'.'.join(parts)} cannot be nothing in the file.", hint="--unset takes it out.")
    return (modality, binding, name), _as_the_binding_has_it(modality, binding, name, value)


def _check_where(parts: tuple[str, ...], text: str) -> None:
    """Raise what is wrong with a place, or with an environment, unless that is one of a place elsewhere."""
    table: Any = configuration.load().tables.get(parts[0], {})
    said = {**table, **(table.get(parts[1], {}) if len(parts) == 3 else {})}
    if parts[-1] == "place":
        find_place(text)
    elif has_our_environments(find_place(said.get("place"))):
        find_environment(text)


def _wanted(modality: str, name: str, *, chain: bool) -> str:
    """The name of a binding; of several that are tried in turn one need not be here yet, if it is one of ours."""
    if chain and extra_of(name) and not candidates(find_bindings(modality), known_name(modality, name)):
        return name
    return _known(modality, name)


def _known(modality: str, name: str, place: str | None = None) -> str:
    """The name of a binding that is here or in an environment; any, where it is to run on another machine."""
    known = known_name(modality, name)
    refs = find_bindings(modality)
    if not candidates(refs, known) and not _runs_elsewhere(modality, known, place):
        raise not_found(modality, name, sorted({n for ref in refs for n in ref.names}))
    return known


def _runs_elsewhere(modality: str, name: str, place: str | None) -> bool:
    """Whether a place that is to be said of it, or is in the file, has other bindings than are found here."""
    table: Any = configuration.load().tables.get(modality, {})
    said = place or {**table, **table.get(name, {})}.get("place")
    return said is not None and not has_our_environments(find_place(said))


def _as_the_binding_has_it(modality: str, binding: str, name: str, value: Any) -> Any:
    refs = candidates(find_bindings(modality), binding)
    if not refs or refs[0].environment is not None:
        _tried(modality, binding, name, value)
        return value
    model = manager_of(modality).load_class(binding).settings_class()
    try:
        found = getattr(validate(model, {name: value}, SettingsError, f"{modality}:{binding}"), name)
    except SettingsError as exc:
        if name in getattr(exc, "names", [name]):
            raise
        return value  # what else it needs is said elsewhere
    return found if isinstance(found, (bool, int, float)) else str(found) if isinstance(found, Path) else value


def _tried(modality: str, binding: str, name: str, value: Any) -> None:
    """Ask a binding in another interpreter, by making it."""
    try:
        maker_of(Which(modality, binding))[1]({name: value}).close()
    except SettingsError as exc:
        if name in getattr(exc, "names", [name]):
            raise
    except LollmsError:  # which is no word about the value
        pass
