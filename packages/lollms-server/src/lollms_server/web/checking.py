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


def checked(model: type[_M], values: Mapping[str, Any]) -> _M:
    """``model(**values)``.

    Args:
        values: JSON values, or lists of texts as a form has them.

    Raises:
        Refused: what is wrong, and of which field.
    """
    given = {name: _single(model, name, value) for name, value in values.items()}
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        item = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        # Where a field may be of several kinds, their names are among it, such as "constrained-str".
        param = ".".join(str(part) for part in item["loc"] if isinstance(part, int) or part.isidentifier())
        if item["type"] == "missing":
            raise Refused(f"The field {param!r} is missing.", code="missing_field", param=param) from None
        raise Refused(f"The field {param!r:.100}: {item['msg']}.", code="invalid_value", param=param) from None


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
