"""``--set`` and ``--opt``: words to values, by the JSON schemas of the binding that they are for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lollms_client.cli.errors import UsageError

_Schema = Mapping[str, Any]
# Documented arguments of the verbs, which are in no binding's schema.
DOCUMENTED: dict[str, _Schema] = {
    "voice": {"type": "string"}, "model": {"type": "string"}, "negative_prompt": {"type": "string"},
    "width": {"type": "integer"}, "height": {"type": "integer"},
}  # fmt: skip


def parse_pairs(pairs: Iterable[str], schema: _Schema, flag: str) -> dict[str, Any]:
    """``NAME=VALUE`` words as a dict. A name that the schema does not know stays: the binding knows the near miss.

    Raises:
        UsageError: no ``=`` in it, or no such value as the schema wants.
    """
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{flag} {pair!r} has no name and value.", hint=f"Write {flag} NAME=VALUE.")
        name = name.strip().replace("-", "_")
        values[name] = typed(name, text, schema)
    return values


def typed(name: str, text: str, schema: _Schema) -> Any:
    """The value that ``text`` stands for, by what the schema says of ``name``."""
    described = schema.get("properties", {}).get(name) or DOCUMENTED.get(name, {})
    try:
        return _value(text, list(_branches(described, schema.get("$defs", {}))))
    except ValueError as exc:
        raise UsageError(f"{name}={text!r} is no such value: {exc}.", hint=f"It is {_wanted(described)}.") from exc


def _value(text: str, branches: list[_Schema]) -> Any:
    kinds = {kind for branch in branches for kind in _kinds(branch)}
    choices = [
        choice for branch in branches for choice in branch.get("enum", [branch["const"]] if "const" in branch else [])
    ]
    for choice in choices:
        if text == (choice if isinstance(choice, str) else json.dumps(choice)):
            return choice
    if "null" in kinds and text in ("", "null"):
        return None
    if "object" in kinds and text.lstrip().startswith("{"):
        return json.loads(text)
    if "array" in kinds:
        return _list(text, branches)
    if not kinds:  # anything goes
        return _anything(text)
    if "string" not in kinds and kinds & {"integer", "number"}:
        return _anything(text)
    return text  # pydantic makes the rest of it, and complains where that cannot be


def _list(text: str, branches: list[_Schema]) -> Any:
    if text.lstrip().startswith("["):
        return json.loads(text)
    items: _Schema = next((branch.get("items", {}) for branch in branches if "array" in _kinds(branch)), {})
    return [_value(part.strip(), list(_branches(items, {}))) for part in text.split(",")] if text else []


def _anything(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _branches(described: _Schema, definitions: Mapping[str, _Schema]) -> Iterator[_Schema]:
    """The kinds of value that a property may have."""
    if "$ref" in described:
        yield from _branches(definitions.get(described["$ref"].rpartition("/")[2], {}), definitions)
    elif "anyOf" in described or "allOf" in described or "oneOf" in described:
        for part in described.get("anyOf") or described.get("oneOf") or described["allOf"]:
            yield from _branches(part, definitions)
    elif described:
        yield described


def _kinds(branch: _Schema) -> list[str]:
    kind = branch.get("type")
    return list(kind) if isinstance(kind, list) else [kind] if isinstance(kind, str) else []


def _wanted(described: _Schema) -> str:
    return type_name(described) or "anything"


def type_name(described: _Schema, definitions: Mapping[str, _Schema] | None = None) -> str:
    """What a property takes, in a word or two, for people."""
    names = []
    for branch in _branches(described, definitions or {}):
        choices = branch.get("enum", [branch["const"]] if "const" in branch else [])
        if choices:
            names.append("|".join(str(choice) for choice in choices))
        elif branch.get("format") == "lollms-media":
            names.append("file")
        elif branch.get("format") == "password":
            names.append("secret")
        elif branch.get("format") == "path":
            names.append("path")
        else:
            names += [kind for kind in _kinds(branch) if kind != "null"]
    return " or ".join(dict.fromkeys(names))
