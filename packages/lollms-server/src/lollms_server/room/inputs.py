"""What may be asked of a binding over the room: nothing that names a file, a program or an address of this machine.

A surface gives recordings and images as bytes, as our media, or as a ``Path`` of its own making (an upload). A text in
such a place came from a client, and is refused; so is a voice or a model that is not in the binding's own list.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lollms_modalities import ModelNotFoundError, OptionError, SettingsError, VoiceNotFoundError

CONTROLS = ("cancel", "progress", "timeout", "output_path")
# Settings that say where something is, by name; their types say it of others.
_PLACES = frozenset(
    "path paths dir folder file exe program command url address host hosts environment wav cache loras".split()
)
_MODELS = ("model", "model_name", "model_id", "model_id_or_path", "default_model")


def check_arguments(verb: Mapping[str, Any], args: Sequence[Any], options: Mapping[str, Any]) -> None:
    """Whether a verb may be called with these.

    Args:
        verb: its entry in the binding's description.
        args, options: what it is to be called with.

    Raises:
        OptionError: something that only the server itself may say, or a text where a recording or an image belongs.
    """
    for name in CONTROLS:
        if name in options:
            raise OptionError(f"{name!r} is not for those who ask over a server.", hint="Leave it out.", names=[name])
    params, named = verb["params"], dict(zip(verb["params"], args, strict=False))
    if len(args) > len(params) or named.keys() & options.keys():
        raise OptionError(f"There are too many arguments: it takes {', '.join(params)}.", names=list(params))
    given = {**named, **options}
    if missing := [name for name in verb["required"] if name not in given]:
        raise OptionError(f"{missing[0]!r} is missing.", hint="Give it.", names=missing)
    schema = (verb.get("options") or {}).get("properties", {})
    for name, value in given.items():
        if name in verb["media"]:
            _check_media(name, value)
        elif _is_path(schema.get(name, {})) and isinstance(value, str):
            raise OptionError(f"{name!r} names a file of the server.", hint="Leave it out.", names=[name])


def _check_media(name: str, value: Any) -> None:
    if isinstance(value, str):
        raise OptionError(
            f"{name!r} is a text, where a recording or an image belongs.",
            hint="Send the file itself: a server opens no path and no address that it is told.",
            names=[name],
        )
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_media(name, item)


def _is_path(schema: Mapping[str, Any]) -> bool:
    kinds = [schema, *schema.get("anyOf", ()), schema.get("items") or {}, schema.get("additionalProperties") or {}]
    return any(
        isinstance(k, Mapping) and (str(k.get("format", "")).endswith("path") or _is_path_within(k)) for k in kinds
    )


def _is_path_within(schema: Mapping[str, Any]) -> bool:
    return any(str(k.get("format", "")).endswith("path") for k in schema.get("anyOf", ()) if isinstance(k, Mapping))


def closed_settings(schema: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of the settings that nobody may change over a server: paths, programs, addresses, environments.

    Args:
        schema: JSON schema of the settings.
        rows: of ``get_settings``, which say of what ``kind`` a setting is where the binding's core knows that.
    """
    properties = schema.get("properties", {})
    closed = set()
    for row in rows:
        name, kind = row["name"], row.get("kind")
        words = name.lower().split("_")
        if kind in ("path", "program", "address", "environment") or (
            (kind is None and any(word in _PLACES for word in words)) or _is_path(properties.get(name, {}))
        ):
            closed.add(name)
    return frozenset(closed)


def check_settings(changes: Mapping[str, Any], closed: frozenset[str], models: frozenset[str] | None) -> None:
    """Whether these settings may be changed over a server.

    Args:
        changes: the new values.
        closed: as of ``closed_settings``.
        models: the binding's own list of models; None where it has none.

    Raises:
        SettingsError: one of them is of a kind that only the configuration file says.
    """
    for name, value in changes.items():
        if name in closed and name not in _MODELS:
            raise SettingsError(
                f"The setting {name!r} names something of the server's machine.",
                hint="It can be set in the server's configuration file only.",
                names=[name],
            )
        if name in _MODELS and value is not None and (models is None or value not in models):
            raise SettingsError(
                f"{value!r:.100} is none of the models that the binding lists.",
                hint="Others can be set in the server's configuration file only.",
                names=[name],
            )


def check_listed(kind: str, name: str, known: Iterable[str]) -> None:
    """Whether a voice or model is in the binding's own list.

    Raises:
        VoiceNotFoundError, ModelNotFoundError: it is not.
    """
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 1, 0.5)
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    hint = f"Did you mean {near[0]!r}?" if near else f"Known ones: {shown}." if names else "None is known."
    error = VoiceNotFoundError if kind == "voice" else ModelNotFoundError
    raise error(f"There is no {kind} {name!r:.100}.", hint=hint)
