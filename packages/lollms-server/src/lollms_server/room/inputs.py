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
# What names something of the server's machine or of its network: only the configuration file says that.
CLOSED = frozenset(("path", "program", "address", "environment"))
LISTS = {"voice": "list_voices", "model": "list_models"}


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
        elif name not in LISTS and _kind(schema.get(name, {})) in CLOSED and value is not None:
            raise OptionError(
                f"{name!r} names something of the server's machine.",
                hint="Leave it out: the server's configuration file says it.",
                names=[name],
            )


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


def _kind(schema: Mapping[str, Any]) -> str:
    marks = schema.get("lollms") or {}
    return str(marks.get("kind", "plain"))


def closed_settings(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of the settings, of the rows of ``get_settings``, that nobody may change over a server.

    A row without a kind is that of an older core in an environment: what may be a text there may be a path.
    """
    return frozenset(
        row["name"]
        for row in rows
        if row.get("kind") in CLOSED or ("kind" not in row and row["type"] not in ("int", "float", "bool"))
    )


def check_settings(
    changes: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], lists: Mapping[str, Iterable[str]]
) -> None:
    """Whether these settings may be changed over a server.

    Args:
        changes: the new values.
        rows: of ``get_settings``.
        lists: what the binding's own methods list, by their names: "list_voices", "list_models".

    Raises:
        SettingsError: one of them is of a kind that only the configuration file says, or is not in its list.
    """
    rows = list(rows)
    closed = closed_settings(rows)
    choices = {row["name"]: row["choices_from"] for row in rows if row.get("choices_from")}
    for name, value in changes.items():
        if name in closed:
            raise SettingsError(
                f"The setting {name!r} names something of the server's machine.",
                hint="It can be set in the server's configuration file only.",
                names=[name],
            )
        known = lists.get(choices.get(name, ""))
        if known is not None and value not in (None, "", *known):
            raise SettingsError(
                f"{name!r}: {value!r:.100} is not in the binding's own list.",
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
