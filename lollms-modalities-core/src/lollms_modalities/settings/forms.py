"""Settings as the list that interfaces make forms of, and as JSON values."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from lollms_modalities.settings.base import BindingSettings
from lollms_modalities.settings.shown import shown
from lollms_modalities.settings.types import holds_secrets, leaves, members

_FORM_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int"), (float, "float"), (list, "list"), (tuple, "list"), (dict, "dict"),
)  # fmt: skip


def to_form(settings: BaseModel) -> list[dict[str, Any]]:
    """The settings as a list of ``{name, type, value, description, options?, is_secret?}``; secrets are masked."""
    public = dump_public(settings)
    fields = type(settings).model_fields
    return [_form_row(name, fields[name], public[name]) for name in ordered_fields(type(settings))]


def ordered_fields(settings: type[BaseModel]) -> list[str]:
    """Names of the settings, a binding's own first, then those that every binding has."""
    own = [name for name in settings.model_fields if name not in BindingSettings.model_fields]
    return [*own, *(name for name in settings.model_fields if name not in own)]


def _form_row(name: str, field: FieldInfo, value: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "type": _form_type(field.annotation),
        "value": value,
        "description": field.description or "",
    }
    literals = [v for t in members(field.annotation) if get_origin(t) is Literal for v in get_args(t)]
    if literals:
        row["options"] = literals
    if holds_secrets(field):
        row["is_secret"] = True
    return row


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
    """The JSON schema of settings or options."""
    return model.model_json_schema(schema_generator=_Schema)


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
