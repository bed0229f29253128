"""Settings as the list that interfaces make forms of, and as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from lollms_modalities.settings.base import BindingSettings
from lollms_modalities.settings.kinds import choices_of, kind_of
from lollms_modalities.settings.shown import shown
from lollms_modalities.settings.types import holds_secrets, is_marked, is_nullable, leaves, members

_FORM_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int"), (float, "float"), (list, "list"), (tuple, "list"), (dict, "dict"),
)  # fmt: skip


def to_form(settings: BaseModel) -> list[dict[str, Any]]:
    """Settings as rows of a form, of their values; see ``rows_of``. Secrets are masked."""
    return rows_of(type(settings), dump_public(settings))


def rows_of(model: type[BaseModel], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings or options as rows of a form.

    Each row has ``name``, ``type`` ("str", "int", "float", "bool", "list", "dict"), ``value``, ``description``,
    ``kind`` (see ``kinds``), ``nullable``, ``reload``, ``required``, and where they apply: ``default``, ``options``
    (all the values that there are), ``choices_from`` (name of the method that lists values), ``is_secret``, ``min``,
    ``max``, ``min_excluded``, ``max_excluded`` (the limit itself is refused), ``step``, ``pattern``, ``min_length``,
    ``max_length``.

    Args:
        values: what is shown, as JSON values.
    """
    schema = schema_of(model)
    described, definitions = schema.get("properties", {}), schema.get("$defs", {})
    return [
        _form_row(name, model.model_fields[name], values.get(name), described[name], definitions)
        for name in ordered_fields(model)
    ]


def ordered_fields(settings: type[BaseModel]) -> list[str]:
    """Names of the settings, a binding's own first, then those that every binding has."""
    own = [name for name in settings.model_fields if name not in BindingSettings.model_fields]
    return [*own, *(name for name in settings.model_fields if name not in own)]


def _form_row(
    name: str, field: FieldInfo, value: Any, described: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "type": _form_type(field.annotation),
        "value": value,
        "description": field.description or "",
        "kind": described["lollms"]["kind"],
        "nullable": is_nullable(field),
        "reload": is_marked(field, "reload"),
        "required": field.is_required(),
    }
    if not field.is_required():
        row["default"] = shown(field.get_default(call_default_factory=True))
    if choices := [v for member in members(field.annotation) for v in _choices(member)]:
        row["options"] = choices
    if choices := described["lollms"].get("choices_from"):
        row["choices_from"] = choices
    if holds_secrets(field):
        row["is_secret"] = True
    return row | _limits(row["type"], described, definitions)


def _choices(member: Any) -> tuple[Any, ...]:
    """The values of a literal or an enumeration."""
    if get_origin(member) is Literal:
        return get_args(member)
    return tuple(v.value for v in member) if isinstance(member, type) and issubclass(member, Enum) else ()


# As JSON schemas have them, and as rows have them.
_LIMITS = {
    "minimum": "min", "exclusiveMinimum": "min", "maximum": "max", "exclusiveMaximum": "max", "multipleOf": "step",
    "pattern": "pattern", "minLength": "min_length", "maxLength": "max_length", "minItems": "min_length",
    "maxItems": "max_length",
}  # fmt: skip


def _limits(kind: str, described: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"step": 1} if kind == "int" else {}
    parts = [described, *described.get("anyOf", ())]
    for part in parts:
        if reference := part.get("$ref"):
            parts.append(definitions.get(str(reference).rpartition("/")[2], {}))
        for limit, name in _LIMITS.items():
            if limit in part and not _looser(name, part[limit], found.get(name)):
                found[name] = part[limit]
                if limit.startswith("exclusive"):
                    found[f"{name}_excluded"] = True
                else:
                    found.pop(f"{name}_excluded", None)
    return found


def _looser(name: str, limit: Any, known: Any) -> bool:
    """Whether another limit of the field says more already."""
    return known is not None and ((name == "max" and limit >= known) or (name == "min" and limit <= known))


def _form_type(annotation: Any) -> str:
    kinds = [t for t in leaves(annotation) if t is not type(None)]
    for kind, name in _FORM_TYPES:
        if kinds and all(isinstance(t, type) and issubclass(t, kind) for t in kinds):
            return name
    if kinds and all(t in (int, float) for t in kinds):
        return "float"
    return "str"


class _Schema(GenerateJsonSchema):
    """With defaults that JSON cannot hold as they are shown."""

    def encode_default(self, dft: Any) -> Any:
        try:
            return shown(super().encode_default(dft))
        except ValueError:
            return shown(dft)


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of settings or options; ``lollms`` in each property has its ``kind`` and ``choices_from``."""
    schema = model.model_json_schema(schema_generator=_Schema)
    definitions = schema.get("$defs", {})
    for name, described in schema.get("properties", {}).items():
        field = model.model_fields[name]
        marks = {**described.get("lollms", {}), "kind": kind_of(name, field, described, definitions)}
        if choices := choices_of(name, field):
            marks["choices_from"] = choices
        described["lollms"] = marks
    return schema


def field_kind(model: type[BaseModel], name: str) -> str:
    """The kind of one setting or option."""
    return str(schema_of(model)["properties"][name]["lollms"]["kind"])


def dump_public(settings: BaseModel) -> dict[str, Any]:
    """The settings as JSON values, secrets masked: fit to be shown, logged and kept with a result."""
    try:
        public = settings.model_dump(mode="json", fallback=str, warnings=False)
    except ValueError:  # bytes that are no text
        public = {name: shown(value) for name, value in settings}
    return {name: shown(value) for name, value in public.items()}  # an infinite float is no JSON


def dump_secrets(settings: BaseModel) -> dict[str, Any]:
    """The settings as Python values, secrets in the clear: only to make settings again from them."""
    return {k: _reveal(v) for k, v in settings if k in settings.model_fields_set}


def _reveal(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, (SecretStr, SecretBytes)) else value
