"""Bodies checked by a model, with errors that name the field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, get_origin

from lollms_modalities import OptionError
from lollms_modalities.kit import near_miss
from pydantic import BaseModel, ConfigDict, ValidationError

from lollms_server.web.errors import Refused

_M = TypeVar("_M", bound=BaseModel)


class RequestBody(BaseModel):
    """Base of all bodies. What it does not name are options of the binding, which is asked about them."""

    model_config = ConfigDict(
        extra="allow", hide_input_in_errors=True, protected_namespaces=(), str_max_length=8_000_000
    )

    @property
    def options(self) -> dict[str, Any]:
        """What is not of the surface: the binding's own options, by name."""
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}


def checked(model: type[_M], values: Mapping[str, Any], *, form: bool = False) -> _M:
    """``model(**values)``.

    Args:
        values: JSON values, which must be of the types that the model's schema names; or of a form, lists of texts.
        form: whether they are of a form.

    Raises:
        Refused: what is wrong, and of which field.
    """
    if form:
        given = {name: _single(model, name, value) for name, value in values.items()}
    else:
        given = dict(values)
        for name, schema in _schemas(model).items():
            if name in given and not of_type(given[name], schema):
                raise Refused(
                    f"The field {name!r} is {type_of(given[name])}, not {types_of(schema)}.", code="invalid_value",
                    param=name,
                )  # fmt: skip
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        item = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        # Where a field may be of several kinds, their names are among it, such as "constrained-str".
        param = ".".join(str(part) for part in item["loc"] if isinstance(part, int) or part.isidentifier())
        if item["type"] == "missing":
            raise Refused(f"The field {param!r} is missing.", code="missing_field", param=param) from None
        raise Refused(f"The field {param!r:.100}: {item['msg']}.", code="invalid_value", param=param) from None


@lru_cache
def _schemas(model: type[BaseModel]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = model.model_json_schema().get("properties", {})
    return properties


_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def type_of(value: Any) -> str:
    """The type of a JSON value, as JSON schema calls it."""
    return _TYPES.get(type(value), "null")


def kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    """The types that a JSON schema names; none where it takes any."""
    if "$ref" in schema:
        return frozenset(("object",))
    if parts := schema.get("anyOf", ()):
        found = [kinds(part) for part in parts]
        return frozenset().union(*found) if all(found) else frozenset()
    named = schema.get("type", ())
    return frozenset((named,) if isinstance(named, str) else named)


def of_type(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a JSON value is of a type that the schema names. A text is no number, and a truth is none."""
    wanted = kinds(schema)
    kind = type_of(value)
    return not wanted or kind in wanted or (kind in ("integer", "number") and bool(wanted & {"integer", "number"}))


def types_of(schema: Mapping[str, Any]) -> str:
    """The same for a message."""
    return " or ".join(sorted(kinds(schema) - {"null"}))


def _single(model: type[BaseModel], name: str, value: Any) -> Any:
    """A form's field that is given once is no list, unless it is one."""
    is_list = name in _lists_of(model)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and not is_list:
        return value[0]
    return [value] if is_list and isinstance(value, str) else value


@lru_cache
def _lists_of(model: type[BaseModel]) -> frozenset[str]:
    """Names of the fields that may be lists."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if any(get_origin(part) is list for part in _members(field.annotation))
    )


def _members(annotation: Any) -> Iterable[Any]:
    yield annotation
    yield from getattr(annotation, "__args__", ())


def refuse_unknown(options: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse options that nobody knows, with the near miss.

    Raises:
        OptionError: there is one.
    """
    names = sorted(known)
    for name in options:
        if name not in names:
            hint = near_miss(name, names, "options")
            raise OptionError(f"{what} has no option {name!r:.100}.", hint=hint, names=[name[:100]])
