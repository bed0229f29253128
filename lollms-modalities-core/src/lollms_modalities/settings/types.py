"""What the type and the marks of a field say: secret, nullable, reload, shared."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's type is a secret one."""
    return any(t in (SecretStr, SecretBytes) for t in leaves(field.annotation))


def is_nullable(field: FieldInfo) -> bool:
    """Whether None is a value of the field."""
    return any(t in (None, type(None), Any) for t in leaves(field.annotation))


def empty_is_none(field: FieldInfo) -> bool:
    """Whether "" stands for None, as forms give it: where None is a value, and "" is not the default."""
    return type(None) in leaves(field.annotation) and field.default != ""


def holds_secrets(field: FieldInfo) -> bool:
    """Whether there is room for a secret in the field: as itself, in a list, a dict, or a field of a nested model."""
    return _has_secret(field.annotation, set())


def _has_secret(annotation: Any, seen: set[Any]) -> bool:
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return False
    if isinstance(origin, type) and hasattr(origin, "get_secret_value"):
        return True
    inner = list(get_args(annotation))
    if isinstance(origin, type) and origin not in seen:
        seen.add(origin)
        if issubclass(origin, BaseModel):
            inner += [f.annotation for f in origin.model_fields.values()]
        elif hasattr(origin, "__annotations__") and origin.__module__ not in ("builtins", "typing"):
            try:
                inner += get_type_hints(origin).values()
            except Exception:  # names that are not there at run time
                inner += origin.__annotations__.values()
    return any(_has_secret(part, seen) for part in inner if not isinstance(part, (str, int, bytes)))


def is_marked(field: FieldInfo, mark: Literal["reload", "shared"]) -> bool:
    """Whether ``setting(..., reload=True)`` or ``shared=True`` was said of the field."""
    return bool(mark_of(field, mark))


def mark_of(field: FieldInfo, mark: str) -> Any:
    """What ``setting`` or ``option`` was told of that name; None where it was told nothing."""
    extra = field.json_schema_extra
    marks = extra.get("lollms") if isinstance(extra, dict) else None
    return marks.get(mark) if isinstance(marks, dict) else None


def members(annotation: Any) -> list[Any]:
    """The parts of a union, without ``Annotated`` around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [m for part in get_args(annotation) for m in members(part)]
    return [annotation]


def leaves(annotation: Any) -> list[Any]:
    """The plain types of an annotation: of literals the types of their values, of generics their origin."""
    found: list[Any] = []
    for member in members(annotation):
        if get_origin(member) is Literal:
            found += [type(v) for v in get_args(member)]
        else:
            found.append(get_origin(member) or member)
    return found
