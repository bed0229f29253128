"""The secrets that a worker is given, to be taken out of what it prints and of what is said of its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from lollms_modalities.masking import MASK
from lollms_modalities.settings.shown import texts_of
from lollms_modalities.workers.variables import is_secret_variable

_SHORTEST = 6  # characters of a variable that is taken for a secret by its name; "1" would be found everywhere


class Secrets:
    """All that were ever given to the workers of one binding: an old key is still a key."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def note(self, settings: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> None:
        """Remember those among settings; ``schema`` is the settings' JSON schema, which marks them."""
        self._add(_secrets_in(dict(settings or {}), schema, schema.get("$defs", {})))

    def note_variables(self, variables: Mapping[str, str]) -> None:
        """Remember those among environment variables."""
        self._add(v for k, v in variables.items() if is_secret_variable(k) and len(v) >= _SHORTEST)

    def clean(self, text: str) -> str:
        """``text`` with a mask in the place of each."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def _add(self, found: Iterator[str]) -> None:
        # What is printed comes line by line, and so does a secret of several lines.
        known = {*self._known}
        for secret in found:
            if secret and secret != MASK:
                known |= {secret, *(line for line in secret.split() if len(line) >= _SHORTEST)}
        # The longest first: another may be a part of it.
        self._known = tuple(sorted(known, key=len, reverse=True))


def declared_variables(schema: Mapping[str, Any]) -> list[str]:
    """Names of the environment variables that settings are declared to be read from (``setting(env=...)``)."""
    names: list[str] = []
    for described in schema.get("properties", {}).values():
        env = described.get("lollms", {}).get("env", ())
        names += [env] if isinstance(env, str) else env
    return names


def _secrets_in(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    """Those in a value that the schema describes, and those that are secrets by their type."""
    if hasattr(value, "get_secret_value"):
        value, schema = value.get_secret_value(), {"format": "password"}
    if isinstance(value, BaseModel):
        value = dict(value)
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].rpartition("/")[2], {})
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _secrets_in(value, part, definitions)
    if schema.get("format") == "password" and isinstance(value, (str, bytes)):
        yield from texts_of(value)
    elif isinstance(value, Mapping):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, held in value.items():
            yield from _secrets_in(held, fields.get(name) or _schema(others), definitions)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for n, held in enumerate(value):
            first = schema.get("prefixItems", ())
            yield from _secrets_in(held, first[n] if n < len(first) else _schema(schema.get("items")), definitions)


def _schema(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}
